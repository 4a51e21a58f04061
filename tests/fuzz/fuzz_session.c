/* Any bytes as a model that is planned and run: the operators' checks against hostile shapes,
 * options and values. Models that ask for more than a fuzzer's patience (64 KiB of activations,
 * 2^24 multiply-accumulates) are planned but not run. */
#include <string.h>

#include "fuzz/fuzz.h"
#include "scree/scree.h"

#define PATIENT_BYTES ((size_t)64 << 10)
#define PATIENT_MACS  ((uint64_t)1 << 24)

static bool takes_long(const struct scree_session *session)
{
    struct scree_memory memory;
    uint64_t macs = 0;

    scree_session_memory(session, &memory);
    for (uint32_t i = 0; i < scree_session_n_nodes(session); i++) {
        struct scree_node_report report;

        if (scree_session_report(session, i, &report) >= 0)
            macs += report.macs < PATIENT_MACS ? report.macs : PATIENT_MACS;
    }
    return memory.arena_bytes > PATIENT_BYTES || macs >= PATIENT_MACS;
}

/* Integers are small, because many of them become shapes; -1 is among them. */
static void fill(const struct scree_tensor *tensor, unsigned round)
{
    size_t width = scree_type_bytes(tensor->type);

    for (size_t i = 0; i < tensor->bytes / width; i++) {
        int64_t number = round ? (int64_t)(i * 5 % 7) - 1 : 0;
        uint8_t byte = (uint8_t)(round ? i * 151 : 0);

        if (tensor->type == SCREE_TYPE_INT32 || tensor->type == SCREE_TYPE_INT64)
            memcpy((uint8_t *)tensor->data + i * width, &number, width);
        else
            memset((uint8_t *)tensor->data + i * width, byte, width);
    }
}

static void fill_inputs(struct scree_session *session, unsigned round)
{
    for (uint32_t i = 0; i < scree_session_n_inputs(session); i++) {
        struct scree_tensor tensor;

        if (scree_session_input(session, i, &tensor) >= 0 && tensor.bytes > 0)
            fill(&tensor, round);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    const struct scree_session_options options = {.n_threads = 1};
    struct scree_model *model;
    struct scree_session *session;

    if (scree_model_open_memory(bytes, n_bytes, &model, NULL) < 0)
        return 0;
    if (scree_session_new(model, &options, &session, NULL) >= 0) {
        for (unsigned round = 0; round < 2 && !takes_long(session); round++) {
            fill_inputs(session, round);
            (void)scree_session_run(session, NULL);
        }
        scree_session_free(session);
    }
    scree_model_unref(model);
    return 0;
}
