#include "delegate/interrupts.h"

#include <stdlib.h>

#include "device/discover.h"

struct scree_npu_counter {
    struct scree_tree *tree;
    struct scree_npu npu;
    char *room; /* for the file: a run allocates nothing */
};

struct scree_npu_counter *scree_npu_counter_new(void)
{
    struct scree_npu_counter *counter = calloc(1, sizeof *counter);

    if (!counter)
        return NULL;
    if (scree_tree_open("/", &counter->tree, NULL) >= 0)
        scree_npu_discover(counter->tree, &counter->npu);
    counter->room = malloc(SCREE_NPU_INTERRUPTS_ROOM);
    if (counter->npu.n_cores == 0 || !counter->room) {
        scree_npu_counter_free(counter);
        return NULL;
    }
    return counter;
}

uint64_t scree_npu_counter_read(const struct scree_npu_counter *counter)
{
    uint64_t counts[SCREE_NPU_MAX_CORES], sum = 0;

    if (!counter ||
        scree_npu_interrupts_in(counter->tree, &counter->npu, counter->room, counts) < 0)
        return 0;
    for (uint32_t i = 0; i < counter->npu.n_cores; i++)
        sum += counts[i];
    return sum;
}

void scree_npu_counter_free(struct scree_npu_counter *counter)
{
    if (!counter)
        return;
    scree_tree_free(counter->tree);
    free(counter->room);
    free(counter);
}
