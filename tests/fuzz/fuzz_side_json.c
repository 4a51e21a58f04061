/* Any bytes as a side file; what it says goes on to the search for a head and to the anchors. */
#include <stdlib.h>

#include "fuzz/fuzz.h"
#include "vision/side.h"

/* Outputs of a raw SSD and a YOLO, so that the roles that the file names are used. */
static void find_heads(const struct scree_side *side)
{
    static const struct scree_tensor input = {
        .name = "in", .type = SCREE_TYPE_FLOAT32, .shape = {4, {1, 320, 320, 3}}};
    static const struct scree_tensor outputs[] = {
        {.name = "a", .type = SCREE_TYPE_FLOAT32, .shape = {3, {1, 2034, 4}}},
        {.name = "b", .type = SCREE_TYPE_FLOAT32, .shape = {3, {1, 2034, 91}}},
        {.name = "c", .type = SCREE_TYPE_FLOAT32, .shape = {3, {1, 84, 2100}}},
    };
    struct scree_ports ports = {&input, outputs, 1, 3};
    struct scree_head head;

    (void)scree_head_find(&ports, SCREE_TASK_ANY, side, &head, NULL);
    ports = (struct scree_ports){&input, &outputs[2], 1, 1};
    (void)scree_head_find(&ports, SCREE_TASK_DETECT, side, &head, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    struct scree_anchor *anchors;
    struct scree_side side;
    uint32_t n;

    if (scree_side_parse((const char *)bytes, n_bytes, &side, NULL) < 0)
        return 0;
    find_heads(&side);
    if (scree_anchors_new(&side.anchors, 320, 320, &anchors, &n, NULL) == 0) {
        for (uint32_t i = 0; i < n; i++)
            if (!(anchors[i].h > 0 && anchors[i].w > 0))
                abort();
        free(anchors);
    }
    scree_side_done(&side);
    return 0;
}
