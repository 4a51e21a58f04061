/* goldens - whole models on recorded inputs, compared with what LiteRT gave.
 *
 *     goldens [--threads LIST] [--filter TEXT] ROOT WORK
 *
 * The data is beside the source tree ROOT: ROOT/../shared, or $SCREE_SHARED, has goldens.tar.xz,
 * which is unpacked to WORK once, and models/. Where there is none, the exit status is 77 (skip).
 *
 * A case is WORK/NAME.CASE.json with NAME.CASE.inN.bin and .outN.bin, of models/NAME.tflite, or
 * WORK/ops/NAME.json of models/ops/NAME.tflite. Each runs once for each number of threads; the
 * first result is compared with the recorded one, by the rule of support/expect.h, and all others
 * with the first, to the bit. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/expect.h"

#define MAX_CASES   1024
#define MAX_THREADS 8
#define PATH_BYTES  4096
#define SKIP        77

struct goldens {
    const char *work, *shared, *filter;
    int threads[MAX_THREADS];
    uint32_t n_threads, n_cases, passed, failed;
    char *cases[MAX_CASES]; /* "NAME.CASE" or "ops/NAME" */
};

/* Of all outputs of a case: the sums of what differs from the recorded. */
struct difference {
    size_t n_elements, n_unequal, n_wrong;
    double largest; /* between two floats */
};

struct outputs {
    uint8_t *bytes;
    size_t n, capacity;
};

static void die(const char *what, const char *path)
{
    fprintf(stderr, "goldens: %s %s: %s\n", what, path, strerror(errno));
    exit(2);
}

/* ---- the data ----------------------------------------------------------------------------------
 */

/* Whether WORK is what the archive has, as its time of change says. */
static bool is_unpacked(const char *archive, const char *mark)
{
    struct stat a, m;
    return stat(archive, &a) == 0 && stat(mark, &m) == 0 && m.st_mtime >= a.st_mtime;
}

static void unpack(const char *archive, const char *work)
{
    extern char **environ;
    char mark[PATH_BYTES];
    snprintf(mark, sizeof(mark), "%s/.unpacked", work);
    if (is_unpacked(archive, mark))
        return;
    if (mkdir(work, 0777) < 0 && errno != EEXIST)
        die("cannot make", work);
    char *const argv[] = {(char[]){"tar"}, (char[]){"-xJf"}, strdup(archive),
                          (char[]){"-C"},  strdup(work),     NULL};
    pid_t pid;
    int status;
    if (posix_spawnp(&pid, "tar", NULL, NULL, argv, environ) != 0 || waitpid(pid, &status, 0) < 0 ||
        status != 0) {
        fprintf(stderr, "goldens: tar cannot unpack %s\n", archive);
        exit(2);
    }
    free(argv[2]);
    free(argv[4]);
    FILE *file = fopen(mark, "w");
    if (!file)
        die("cannot write", mark);
    fclose(file);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Adds the cases of one folder: prefix is "" or "ops/". */
static void find_cases(struct goldens *goldens, const char *prefix)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof(path), "%s/%s", goldens->work, prefix);
    DIR *dir = opendir(path);
    if (!dir)
        die("cannot read", path);
    const struct dirent *entry;
    while ((entry = readdir(dir))) {
        size_t n = strlen(entry->d_name);
        if (n < 6 || strcmp(entry->d_name + n - 5, ".json") != 0)
            continue;
        snprintf(path, sizeof(path), "%s%.*s", prefix, (int)(n - 5), entry->d_name);
        if (strstr(path, goldens->filter) && goldens->n_cases < MAX_CASES)
            goldens->cases[goldens->n_cases++] = strdup(path);
    }
    closedir(dir);
}

/* models/NAME.tflite for NAME.CASE, models/ops/NAME.tflite for ops/NAME. */
static void model_path(const struct goldens *goldens, const char *name, char path[PATH_BYTES])
{
    size_t n = strlen(name);
    if (strncmp(name, "ops/", 4) != 0)
        n = (size_t)(strrchr(name, '.') - name);
    snprintf(path, PATH_BYTES, "%s/models/%.*s.tflite", goldens->shared, (int)n, name);
}

static uint8_t *read_tensor(const struct goldens *goldens, const char *name, const char *kind,
                            uint32_t index, size_t *ret_n)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof(path), "%s/%s.%s%" PRIu32 ".bin", goldens->work, name, kind, index);
    return expect_read_file(path, ret_n);
}

/* ---- one case ----------------------------------------------------------------------------------
 */

/* "type":"UINT8","shape":[1,2] of a tensor, as the description of a case has it. */
static void print_form(const struct scree_tensor *tensor, char *text, size_t n)
{
    char type[32];
    snprintf(type, sizeof(type), "%s", scree_type_name(tensor->type));
    for (char *c = type; *c; c++)
        *c = (char)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
    size_t at = (size_t)snprintf(text, n, "\"type\":\"%s\",\"shape\":[", type);
    for (int32_t i = 0; i < tensor->shape.rank && at < n; i++)
        at += (size_t)snprintf(text + at, n - at, i ? ",%" PRId32 : "%" PRId32,
                               tensor->shape.dims[i]);
    if (at < n)
        snprintf(text + at, n - at, "]");
}

/* The outputs have the types and shapes of the description, in its order. */
static bool check_forms(const struct goldens *goldens, const char *name,
                        const struct scree_session *session)
{
    char path[PATH_BYTES], form[192];
    size_t n;
    snprintf(path, sizeof(path), "%s/%s.json", goldens->work, name);
    uint8_t *bytes = expect_read_file(path, &n);
    char *text = strndup((const char *)bytes, n), *at = text ? strstr(text, "\"outputs\"") : NULL;
    bool same = at != NULL;
    for (uint32_t i = 0; same && i < scree_session_n_outputs(session); i++) {
        struct scree_tensor out;
        scree_session_output(session, i, &out);
        print_form(&out, form, sizeof(form));
        at = strstr(at, form);
        same = at != NULL;
        if (same)
            at += strlen(form);
        else
            printf("FAIL %s: output %" PRIu32 " is %s\n", name, i, form);
    }
    free(text);
    free(bytes);
    return same;
}

static bool fill_inputs(const struct goldens *goldens, const char *name,
                        const struct scree_session *session)
{
    for (uint32_t i = 0; i < scree_session_n_inputs(session); i++) {
        struct scree_tensor in;
        size_t n;
        scree_session_input(session, i, &in);
        uint8_t *bytes = read_tensor(goldens, name, "in", i, &n);
        bool fits = n == in.bytes;
        if (fits)
            memcpy(in.data, bytes, n);
        else
            printf("FAIL %s: input %" PRIu32 " has %zu bytes, not %zu\n", name, i, in.bytes, n);
        free(bytes);
        if (!fits)
            return false;
    }
    return true;
}

/* Counts what differs and shows the first element that does. */
static bool compare_output(const char *name, uint32_t index, const struct scree_tensor *out,
                           const uint8_t *want, struct difference *sum)
{
    size_t width = scree_type_bytes(out->type), n = out->bytes / width, n_wrong = 0;
    const uint8_t *got = out->data;
    for (size_t i = 0; i < n; i++) {
        char got_text[40], want_text[40];
        sum->n_unequal += memcmp(got + i * width, want + i * width, width) != 0;
        if (expect_is_float(out->type)) {
            double difference =
                fabs(expect_float(out->type, got, i) - expect_float(out->type, want, i));
            sum->largest = difference > sum->largest ? difference : sum->largest;
        }
        if (!expect_same(out->type, got, want, i, EXPECT_ABSOLUTE) && n_wrong++ == 0)
            printf("FAIL %s: output %" PRIu32 " [%zu] is %s, expected %s\n", name, index, i,
                   expect_print(got_text, sizeof(got_text), out->type, got, i),
                   expect_print(want_text, sizeof(want_text), out->type, want, i));
    }
    sum->n_elements += n;
    sum->n_wrong += n_wrong;
    return n_wrong == 0;
}

static bool compare_outputs(const struct goldens *goldens, const char *name,
                            const struct scree_session *session, struct difference *sum)
{
    bool same = check_forms(goldens, name, session);
    for (uint32_t i = 0; same && i < scree_session_n_outputs(session); i++) {
        struct scree_tensor out;
        size_t n;
        scree_session_output(session, i, &out);
        uint8_t *want = read_tensor(goldens, name, "out", i, &n);
        same = n == out.bytes;
        if (same)
            same = compare_output(name, i, &out, want, sum);
        else
            printf("FAIL %s: output %" PRIu32 " has %zu bytes, not %zu\n", name, i, out.bytes, n);
        free(want);
    }
    return same;
}

/* Keeps the outputs, or compares them to the bit with those kept before. */
static bool agree(struct outputs *kept, const struct scree_session *session, bool keep)
{
    size_t at = 0;
    for (uint32_t i = 0; i < scree_session_n_outputs(session); i++) {
        struct scree_tensor out;
        scree_session_output(session, i, &out);
        if (keep) {
            uint8_t *bytes = realloc(kept->bytes, kept->n + out.bytes + 1);
            if (!bytes)
                die("no memory for", "outputs");
            kept->bytes = bytes;
            memcpy(kept->bytes + kept->n, out.data, out.bytes);
            kept->n += out.bytes;
        } else if (out.bytes > kept->n - at || memcmp(kept->bytes + at, out.data, out.bytes) != 0) {
            return false;
        }
        at += out.bytes;
    }
    return at == kept->n;
}

static bool run_threads(const struct goldens *goldens, const char *name, struct scree_model *model,
                        uint32_t which, struct outputs *kept, struct difference *sum)
{
    struct scree_session_options options = {.n_threads = goldens->threads[which]};
    struct scree_session *session;
    struct scree_error err;
    if (scree_session_new(model, &options, &session, &err) < 0) {
        printf("FAIL %s: %s\n", name, err.text);
        return false;
    }
    bool passed = fill_inputs(goldens, name, session);
    if (passed && scree_session_run(session, &err) < 0) {
        printf("FAIL %s: %s\n", name, err.text);
        passed = false;
    }
    if (passed && which == 0)
        passed = compare_outputs(goldens, name, session, sum);
    if (passed && !agree(kept, session, which == 0)) {
        printf("FAIL %s: %d threads give other bits than %d\n", name, goldens->threads[which],
               goldens->threads[0]);
        passed = false;
    }
    scree_session_free(session);
    return passed;
}

static bool run_case(const struct goldens *goldens, const char *name)
{
    struct difference sum = {0};
    struct outputs kept = {0};
    struct scree_model *model;
    struct scree_error err;
    char path[PATH_BYTES];
    model_path(goldens, name, path);
    if (scree_model_open(path, &model, &err) < 0) {
        printf("FAIL %s: %s\n", name, err.text);
        return false;
    }
    bool passed = true;
    for (uint32_t i = 0; passed && i < goldens->n_threads; i++)
        passed = run_threads(goldens, name, model, i, &kept, &sum);
    scree_model_unref(model);
    free(kept.bytes);
    printf("%-4s %s: %zu elements, %zu not identical, %zu wrong", passed ? "ok" : "FAIL", name,
           sum.n_elements, sum.n_unequal, sum.n_wrong);
    if (sum.largest > 0)
        printf(", largest difference %.3g", sum.largest);
    printf("\n");
    fflush(stdout);
    return passed;
}

/* ---- all cases ---------------------------------------------------------------------------------
 */

static int usage(void)
{
    fprintf(stderr, "usage: goldens [--threads LIST] [--filter TEXT] ROOT WORK\n");
    return 2;
}

static int run(struct goldens *goldens, const char *root)
{
    char shared[PATH_BYTES], archive[PATH_BYTES + 32];
    const char *given = getenv("SCREE_SHARED");
    snprintf(shared, sizeof(shared), given ? "%s" : "%s/../shared", given ? given : root);
    snprintf(archive, sizeof(archive), "%s/goldens.tar.xz", shared);
    if (access(archive, R_OK) < 0) {
        printf("skipped: there is no %s\n", archive);
        return SKIP;
    }
    goldens->shared = shared;
    unpack(archive, goldens->work);
    find_cases(goldens, "");
    find_cases(goldens, "ops/");
    qsort(goldens->cases, goldens->n_cases, sizeof(goldens->cases[0]), compare_names);
    for (uint32_t i = 0; i < goldens->n_cases; i++) {
        if (run_case(goldens, goldens->cases[i]))
            goldens->passed++;
        else
            goldens->failed++;
        free(goldens->cases[i]);
    }
    printf("%" PRIu32 " passed, %" PRIu32 " failed\n", goldens->passed, goldens->failed);
    return goldens->failed || goldens->passed == 0;
}

int main(int argc, char **argv)
{
    static struct goldens goldens = {.filter = "", .threads = {1, 2, 4}, .n_threads = 3};
    const char *paths[2] = {NULL, NULL};
    uint32_t n_paths = 0;
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) != 0 && n_paths < 2)
            paths[n_paths++] = argv[i];
        else if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc)
            goldens.n_threads = expect_threads(argv[++i], goldens.threads, MAX_THREADS);
        else if (strcmp(argv[i], "--filter") == 0 && i + 1 < argc)
            goldens.filter = argv[++i];
        else
            return usage();
    }
    if (n_paths != 2 || goldens.n_threads == 0)
        return usage();
    goldens.work = paths[1];
    return run(&goldens, paths[0]);
}
