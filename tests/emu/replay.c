/* Executes recorded submits and compares what they compute with the CPU executor:
 * replay [--rounding even|up|away] [--layers] FOLDER...
 *
 * Every task of every folder must run. Of a folder whose graph is one convolution, the output is
 * compared byte by byte. A folder of two submits is a whole network with an average pool between
 * them, done here, and the output of the last job is compared. A line a folder:
 *
 *     FOLDER tasks T conv BYTES equal EQUAL worst STEPS cycles C ms M
 *
 * M is how long the tasks took here.
 *
 * With --layers each job of such a network gets the CPU's bytes as its input, so that a layer's own
 * deviation is seen; the line is of all layers together. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "emu/recording.h"

struct comparison {
    size_t n_bytes, n_equal;
    int worst;
};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

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

/* Runs the graph of the folder on the CPU and compares its output with `bo`, if it is one of uint8
 * that has as many nodes as it should. */
static void compare_with_cpu(const char *folder, uint32_t n_nodes, const uint8_t *bo,
                             struct comparison *ret)
{
    struct scree_session *session = NULL;
    struct scree_model *model = NULL;
    struct scree_tensor in, out;
    uint32_t n_found;
    size_t n_model, n_input;
    uint8_t *bytes = recorded_model(folder, false, &n_model, &n_found);
    uint8_t *input = recorded_file(folder, "io-in0.bin", &n_input);

    if (bytes && input && n_found == n_nodes &&
        scree_model_open_memory(bytes, n_model, &model, NULL) == 0 &&
        scree_session_new(model, NULL, &session, NULL) == 0) {
        scree_session_input(session, 0, &in);
        if (in.type == SCREE_TYPE_UINT8 && in.bytes == n_input) {
            memcpy(in.data, input, n_input);
            if (scree_session_run(session, NULL) == 0) {
                scree_session_output(session, 0, &out);
                compare(&out, bo, ret);
            }
        }
    }
    scree_session_free(session);
    scree_model_unref(model);
    free(input);
    free(bytes);
}

/* An average over all pixels, as TFLite's reference rounds it, from planes of 16 channels to the
 * input of the next submit. Bytes are q - 128 on both sides. */
static void pool(const uint8_t *planes, size_t n_pixels, size_t n_channels, uint8_t *ret)
{
    for (size_t c = 0; c < n_channels; c++) {
        size_t sum = 0;

        for (size_t p = 0; p < n_pixels; p++)
            sum += planes[(c / 16 * n_pixels + p) * 16 + c % 16] ^ 0x80;
        ret[c] = (uint8_t)((sum + n_pixels / 2) / n_pixels) ^ 0x80;
    }
}

/* The geometry of MobileNetV1 0.25 128, the one recorded network: 4 x 4 pixels of 256 channels, and
 * 13 depthwise-pointwise pairs, a first convolution, the pool and the classifier. */
enum { POOL_PIXELS = 16, POOL_CHANNELS = 256, NETWORK_NODES = 29 };

static int replay_network(const char *folder, struct recording *first,
                          enum scree_emu_rounding rounding, struct scree_emu_cost *cost,
                          struct comparison *comparison)
{
    struct recording second;
    int n = recording_run(first, rounding, cost), m;

    if (n < 0 || !recording_open(&second, folder, 1))
        return -1;
    pool(recording_bytes(first, first->jobs[first->n_jobs - 1].out), POOL_PIXELS, POOL_CHANNELS,
         recording_bytes(&second, second.jobs[0].in));
    m = recording_run(&second, rounding, cost);
    if (m >= 0)
        compare_with_cpu(folder, NETWORK_NODES, recording_bytes(&second, second.jobs[0].out),
                         comparison);
    recording_done(&second);
    return m < 0 ? -1 : n + m;
}

/* What a job of the first submit reads, from the CPU's tensor: planes of 16 channels, padded with
 * what is there. */
static void pack(const struct scree_tensor *in, uint8_t *bo)
{
    const uint8_t *bytes = in->data;
    size_t n_channels = (size_t)in->shape.dims[in->shape.rank - 1];
    size_t pixels = in->bytes / n_channels;

    for (size_t p = 0; p < pixels; p++)
        for (size_t c = 0; c < n_channels; c++)
            bo[(c / 16 * pixels + p) * 16 + c % 16] = bytes[p * n_channels + c] ^ 0x80;
}

/* The jobs of the first submit one by one: job i is convolution i, whose input is what the CPU has
 * made of the layer before. */
static int replay_each(const struct recording *recording, struct scree_session *session,
                       const struct scree_tensor *input, enum scree_emu_rounding rounding,
                       struct scree_emu_cost *cost, struct comparison *comparison)
{
    int n = 0;

    for (uint32_t i = 0; i < recording->n_jobs; i++) {
        struct scree_tensor in = *input, out;
        int done;

        if (i > 0)
            scree_session_output(session, i - 1, &in);
        scree_session_output(session, i, &out);
        pack(&in, recording_bytes(recording, recording->jobs[i].in));
        done = recording_run_job(recording, i, rounding, cost);
        if (done < 0)
            return -1;
        n += done;
        compare(&out, recording_bytes(recording, recording->jobs[i].out), comparison);
    }
    return n;
}

static int replay_layers(const char *folder, const struct recording *recording,
                         enum scree_emu_rounding rounding, struct scree_emu_cost *cost,
                         struct comparison *comparison)
{
    struct scree_session *session = NULL;
    struct scree_model *model = NULL;
    uint32_t n_found;
    size_t n_model, n_input;
    uint8_t *bytes = recorded_model(folder, true, &n_model, &n_found);
    uint8_t *input = recorded_file(folder, "io-in0.bin", &n_input);
    struct scree_tensor in;
    int n = -1;

    if (bytes && input && n_found == NETWORK_NODES &&
        scree_model_open_memory(bytes, n_model, &model, NULL) == 0 &&
        scree_session_new(model, NULL, &session, NULL) == 0) {
        scree_session_input(session, 0, &in);
        if (in.bytes == n_input) {
            memcpy(in.data, input, n_input);
            in.data = input; /* the session uses its memory for other tensors in a run */
            if (scree_session_run(session, NULL) == 0)
                n = replay_each(recording, session, &in, rounding, cost, comparison);
        }
    }
    scree_session_free(session);
    scree_model_unref(model);
    free(input);
    free(bytes);
    return n;
}

/* Whether the folder has a graph to compare with. */
static bool is_known(const char *folder)
{
    size_t n;
    uint8_t *bytes = recorded_file(folder, "model.graph.txt", &n);

    free(bytes);
    return bytes != NULL;
}

static bool replay(const char *folder, enum scree_emu_rounding rounding, bool layers)
{
    struct comparison comparison = {0};
    struct scree_emu_cost cost = {0};
    struct recording recording;
    uint64_t start = now_ns();
    int n = 0;

    if (recording_open(&recording, folder, 0)) {
        start = now_ns();
        if (layers) {
            n = replay_layers(folder, &recording, rounding, &cost, &comparison);
        } else if (recording.n_jobs > 8 && is_known(folder)) {
            n = replay_network(folder, &recording, rounding, &cost, &comparison);
        } else {
            n = recording_run(&recording, rounding, &cost);
            if (n > 0)
                compare_with_cpu(
                    folder, 1,
                    recording_bytes(&recording, recording.jobs[recording.n_jobs - 1].out),
                    &comparison);
        }
        recording_done(&recording);
    }
    printf("%s tasks %d conv %zu equal %zu worst %d cycles %llu ms %.1f\n", folder, n,
           comparison.n_bytes, comparison.n_equal, comparison.worst,
           (unsigned long long)cost.cycles, (double)(now_ns() - start) / 1e6);
    return n >= 0;
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"even", "up", "away"};
    enum scree_emu_rounding rounding = SCREE_EMU_ROUND_EVEN;
    int first = 1, n_failed = 0;
    bool layers = false;

    if (argc > 2 && strcmp(argv[1], "--rounding") == 0) {
        for (int i = 0; i < 3; i++)
            if (strcmp(argv[2], names[i]) == 0)
                rounding = (enum scree_emu_rounding)i;
        first = 3;
    }
    if (argc > first && strcmp(argv[first], "--layers") == 0) {
        layers = true;
        first++;
    }
    for (int i = first; i < argc; i++)
        if (!replay(argv[i], rounding, layers)) {
            fprintf(stderr, "%s: failed\n", argv[i]);
            n_failed++;
        }
    return n_failed ? 1 : 0;
}
