/* Executes recorded submits and compares what they compute with the CPU executor:
 * replay [--rounding even|up|away] FOLDER...
 *
 * Every task of every folder must run. Of a folder whose graph is one convolution, the output is
 * compared byte by byte; the last line is what a script adds up:
 *
 *     NAME tasks T conv BYTES equal EQUAL worst STEPS cycles C
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emu/recording.h"

struct comparison {
    size_t n_bytes, n_equal;
    int worst;
};

static void compare(const struct scree_tensor *out, const uint8_t *bo, struct comparison *ret)
{
    const uint8_t *expected = out->data;
    size_t pixels = (size_t)out->shape.dims[1] * (size_t)out->shape.dims[2];
    size_t n_channels = (size_t)out->shape.dims[3];

    for (size_t p = 0; p < pixels; p++)
        for (size_t c = 0; c < n_channels; c++) {
            uint8_t got = bo[(c / 16 * pixels + p) * 16 + c % 16] ^ 0x80;
            int difference = abs((int)got - (int)expected[p * n_channels + c]);

            ret->n_bytes++;
            ret->n_equal += difference == 0;
            if (difference > ret->worst)
                ret->worst = difference;
        }
}

/* Runs the graph of the folder on the CPU and compares its output with `bo`. Returns false if
 * there is nothing to compare: the graph is not one convolution of uint8. */
static bool compare_with_cpu(const char *folder, const uint8_t *bo, struct comparison *ret)
{
    struct scree_session *session = NULL;
    struct scree_model *model = NULL;
    struct scree_tensor in, out;
    uint32_t n_nodes;
    size_t n_model, n_input;
    uint8_t *bytes = recorded_model(folder, &n_model, &n_nodes);
    uint8_t *input = recorded_file(folder, "io-in0.bin", &n_input);
    bool compared = false;

    if (bytes && input && n_nodes == 1 &&
        scree_model_open_memory(bytes, n_model, &model, NULL) == 0 &&
        scree_session_new(model, NULL, &session, NULL) == 0) {
        scree_session_input(session, 0, &in);
        if (in.type == SCREE_TYPE_UINT8 && in.bytes == n_input) {
            memcpy(in.data, input, n_input);
            compared = scree_session_run(session, NULL) == 0;
            scree_session_output(session, 0, &out);
        }
    }
    if (compared)
        compare(&out, bo, ret);
    scree_session_free(session);
    scree_model_unref(model);
    free(input);
    free(bytes);
    return compared;
}

static bool replay(const char *folder, enum scree_emu_rounding rounding)
{
    struct comparison comparison = {0};
    struct scree_emu_cost cost = {0};
    struct recording recording;
    int n_tasks = 0, n;

    for (uint32_t i = 0; recording_open(&recording, folder, i); i++) {
        n = recording_run(&recording, rounding, &cost);
        if (n > 0 && recording.n_jobs == 1)
            (void)compare_with_cpu(folder, recording_bytes(&recording, recording.jobs[0].out),
                                   &comparison);
        recording_done(&recording);
        if (n < 0)
            return false;
        n_tasks += n;
    }
    printf("%s tasks %d conv %zu equal %zu worst %d cycles %llu\n", folder, n_tasks,
           comparison.n_bytes, comparison.n_equal, comparison.worst,
           (unsigned long long)cost.cycles);
    return true;
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"even", "up", "away"};
    enum scree_emu_rounding rounding = SCREE_EMU_ROUND_EVEN;
    int first = 1, n_failed = 0;

    if (argc > 2 && strcmp(argv[1], "--rounding") == 0) {
        for (int i = 0; i < 3; i++)
            if (strcmp(argv[2], names[i]) == 0)
                rounding = (enum scree_emu_rounding)i;
        first = 3;
    }
    for (int i = first; i < argc; i++)
        if (!replay(argv[i], rounding)) {
            fprintf(stderr, "%s: failed\n", argv[i]);
            n_failed++;
        }
    return n_failed ? 1 : 0;
}
