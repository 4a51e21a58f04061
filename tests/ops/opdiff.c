/* opdiff - runs a pack of one-operator models and compares with what TFLite gave.
 *
 *     opdiff [--op OP] [--filter TEXT] [--known FILE] [--threads LIST] [--verbose] PACK
 *
 * Tensors are compared by the rule of support/expect.h. Each case runs in a session for each number
 * of threads (1 and 3 if not told), and these must agree to the bit. The pack's format is described
 * in pack.py.
 *
 * Of each operator the first ten differences are shown, with --verbose all, and every case.
 * --known FILE lists cases that are known to differ, "NAME reason" a line: they count as skipped,
 * but one that passes fails the run, as does one that is not in the pack. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/expect.h"

#define MAX_THREAD_COUNTS 8
#define MAX_OPS           256
#define MAX_KNOWN         256
#define MAX_TENSORS       64
#define MAX_SHOWN         10

/* Bytes of the pack that are still unread. */
struct cursor {
    const uint8_t *at;
    size_t left;
};

struct blob {
    const uint8_t *bytes;
    uint32_t n;
};

struct expected {
    uint32_t type, rank;
    uint32_t dims[SCREE_MAX_RANK];
    struct blob data;
};

struct one_case {
    struct blob name, op, text, model;
    uint32_t n_runs, n_inputs, n_outputs;
    double absolute;    /* by how much floats may differ, see support/expect.h */
    struct cursor runs; /* n_runs times the inputs and outputs */
};

struct op_count {
    char name[48];
    uint32_t passed, failed;
};

struct known {
    char name[80];
    bool seen, failed;
};

struct suite {
    const char *op, *filter;
    int threads[MAX_THREAD_COUNTS];
    uint32_t n_threads, n_ops, n_known, passed, failed, skipped;
    bool verbose;
    struct op_count ops[MAX_OPS];
    struct known known[MAX_KNOWN];
    char why[1024]; /* of the case that failed last */
};

/* ---- the pack ----------------------------------------------------------------------------------
 */

static void broken_pack(void)
{
    fprintf(stderr, "opdiff: the pack is damaged\n");
    exit(2);
}

static const uint8_t *take(struct cursor *cursor, size_t n)
{
    if (n > cursor->left)
        broken_pack();
    const uint8_t *bytes = cursor->at;
    cursor->at += n;
    cursor->left -= n;
    return bytes;
}

static uint32_t take_u32(struct cursor *cursor)
{
    const uint8_t *b = take(cursor, 4);
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static struct blob take_blob(struct cursor *cursor)
{
    struct blob blob = {.n = take_u32(cursor)};
    blob.bytes = take(cursor, blob.n);
    return blob;
}

static struct expected take_expected(struct cursor *cursor)
{
    struct expected tensor = {.type = take_u32(cursor), .rank = take_u32(cursor)};
    if (tensor.rank > SCREE_MAX_RANK)
        broken_pack();
    for (uint32_t i = 0; i < tensor.rank; i++)
        tensor.dims[i] = take_u32(cursor);
    tensor.data = take_blob(cursor);
    return tensor;
}

static struct one_case take_case(struct cursor *cursor)
{
    struct one_case one = {.name = take_blob(cursor), .op = take_blob(cursor)};
    one.text = take_blob(cursor);
    one.model = take_blob(cursor);
    one.absolute = take_u32(cursor) * EXPECT_ABSOLUTE;
    one.n_runs = take_u32(cursor);
    one.n_inputs = take_u32(cursor);
    one.n_outputs = take_u32(cursor);
    if (one.n_outputs > MAX_TENSORS)
        broken_pack();
    one.runs = *cursor;
    for (uint32_t run = 0; run < one.n_runs; run++) {
        for (uint32_t i = 0; i < one.n_inputs; i++)
            take_blob(cursor);
        for (uint32_t i = 0; i < one.n_outputs; i++)
            take_expected(cursor);
    }
    return one;
}

/* ---- comparison --------------------------------------------------------------------------------
 */

static bool same_shape(const struct scree_shape *got, const struct expected *want)
{
    if (got->rank < 0 || (uint32_t)got->rank != want->rank)
        return false;
    for (uint32_t i = 0; i < want->rank; i++)
        if (got->dims[i] < 0 || (uint32_t)got->dims[i] != want->dims[i])
            return false;
    return true;
}

static void print_dims(char *text, size_t n, const struct expected *want)
{
    size_t at = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < want->rank && at < n; i++)
        at += (size_t)snprintf(text + at, n - at, i ? "x%" PRIu32 : "%" PRIu32, want->dims[i]);
}

static bool check_form(struct suite *suite, uint32_t index, const struct scree_tensor *got,
                       const struct expected *want)
{
    if ((uint32_t)got->type != want->type) {
        snprintf(suite->why, sizeof(suite->why), "output %u has type %s, expected %s", index,
                 scree_type_name(got->type), scree_type_name((enum scree_type)want->type));
        return false;
    }
    if (!same_shape(&got->shape, want) || got->bytes != want->data.n) {
        struct expected shape = {.rank = got->shape.rank < 0 ? 0 : (uint32_t)got->shape.rank};
        char got_text[96], want_text[96];
        for (uint32_t i = 0; i < shape.rank; i++)
            shape.dims[i] = (uint32_t)got->shape.dims[i];
        print_dims(got_text, sizeof(got_text), &shape);
        print_dims(want_text, sizeof(want_text), want);
        snprintf(suite->why, sizeof(suite->why),
                 "output %u has shape [%s] (%zu bytes), expected [%s] (%" PRIu32 " bytes)", index,
                 got_text, got->bytes, want_text, want->data.n);
        return false;
    }
    return true;
}

static bool is_product(const struct one_case *one)
{
    static const char *const names[] = {"CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV",
                                        "BATCH_MATMUL"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (one->op.n == strlen(names[i]) && memcmp(one->op.bytes, names[i], one->op.n) == 0)
            return true;
    return false;
}

/* By how much the floats of an output may differ. A sum of products that is rounded once a step
 * differs from one that is rounded twice by what its terms are, not by what cancellation left of
 * them: so the largest output of the tensor stands for a term. */
static double allowed_difference(const struct one_case *one, const struct expected *want)
{
    double largest = 0;
    if (want->type != SCREE_TYPE_FLOAT32 || !is_product(one))
        return one->absolute;
    for (size_t i = 0; i < want->data.n / sizeof(float); i++) {
        double value = fabs(expect_float(SCREE_TYPE_FLOAT32, want->data.bytes, i));
        largest = isfinite(value) && value > largest ? value : largest;
    }
    return fmax(one->absolute, 1e-5 * largest);
}

static bool check_tensor(struct suite *suite, uint32_t run, uint32_t index,
                         const struct scree_tensor *got, const struct expected *want,
                         double absolute)
{
    if (!check_form(suite, index, got, want))
        return false;
    size_t width = scree_type_bytes(got->type), n = width ? got->bytes / width : 0;
    size_t n_wrong = 0, first = 0;
    for (size_t i = n; i-- > 0;) {
        if (!expect_same(got->type, got->data, want->data.bytes, i, absolute)) {
            n_wrong++;
            first = i;
        }
    }
    if (n_wrong == 0)
        return true;
    char got_text[40], want_text[40];
    snprintf(suite->why, sizeof(suite->why),
             "run %u output %u: %zu of %zu differ, first [%zu] is %s, expected %s", run, index,
             n_wrong, n, first,
             expect_print(got_text, sizeof(got_text), got->type, got->data, first),
             expect_print(want_text, sizeof(want_text), got->type, want->data.bytes, first));
    return false;
}

/* ---- running -----------------------------------------------------------------------------------
 */

/* What the first session gave, for the others to agree with. */
struct record {
    uint8_t *bytes;
    size_t n, capacity, at;
    bool filled;
};

static bool agrees(struct record *record, const struct scree_tensor *got)
{
    if (record->filled) {
        bool same =
            got->bytes <= record->n - record->at &&
            (got->bytes == 0 || memcmp(record->bytes + record->at, got->data, got->bytes) == 0);
        record->at += got->bytes;
        return same;
    }
    if (got->bytes > record->capacity - record->n) {
        record->capacity = 2 * (record->n + got->bytes);
        record->bytes = realloc(record->bytes, record->capacity);
        if (!record->bytes)
            exit(2);
    }
    if (got->bytes)
        memcpy(record->bytes + record->n, got->data, got->bytes);
    record->n += got->bytes;
    return true;
}

static bool feed(struct suite *suite, struct scree_session *session, const struct one_case *one,
                 struct cursor *runs)
{
    for (uint32_t i = 0; i < one->n_inputs; i++) {
        struct blob data = take_blob(runs);
        struct scree_tensor in;
        if (scree_session_input(session, i, &in) < 0 || in.bytes != data.n) {
            snprintf(suite->why, sizeof(suite->why), "input %u is not of %" PRIu32 " bytes", i,
                     data.n);
            return false;
        }
        if (data.n)
            memcpy(in.data, data.bytes, data.n);
    }
    return true;
}

static bool compare_outputs(struct suite *suite, struct scree_session *session,
                            const struct one_case *one, uint32_t run, struct cursor *runs,
                            struct record *record)
{
    for (uint32_t i = 0; i < one->n_outputs; i++) {
        struct expected want = take_expected(runs);
        struct scree_tensor got;
        if (scree_session_output(session, i, &got) < 0) {
            snprintf(suite->why, sizeof(suite->why), "there is no output %u", i);
            return false;
        }
        if (!check_tensor(suite, run, i, &got, &want, allowed_difference(one, &want)))
            return false;
        if (!agrees(record, &got)) {
            snprintf(suite->why, sizeof(suite->why),
                     "run %u output %u depends on the number of threads", run, i);
            return false;
        }
    }
    return true;
}

static bool run_session(struct suite *suite, struct scree_session *session,
                        const struct one_case *one, struct record *record)
{
    struct cursor runs = one->runs;
    struct scree_error err;
    if (scree_session_n_inputs(session) != one->n_inputs ||
        scree_session_n_outputs(session) != one->n_outputs) {
        snprintf(suite->why, sizeof(suite->why), "the session has other inputs and outputs");
        return false;
    }
    for (uint32_t run = 0; run < one->n_runs; run++) {
        if (!feed(suite, session, one, &runs))
            return false;
        if (scree_session_run(session, &err) < 0) {
            snprintf(suite->why, sizeof(suite->why), "run: %s", err.text);
            return false;
        }
        if (!compare_outputs(suite, session, one, run, &runs, record))
            return false;
    }
    record->filled = true;
    return true;
}

static bool run_case(struct suite *suite, const struct one_case *one)
{
    struct scree_model *model;
    struct scree_error err;
    struct record record = {0};
    if (one->model.n == 0) {
        snprintf(suite->why, sizeof(suite->why),
                 "changed since its expectation was made: renew "
                 "expected/ by oracle.py --commit");
        return false;
    }
    if (scree_model_open_memory(one->model.bytes, one->model.n, &model, &err) < 0) {
        snprintf(suite->why, sizeof(suite->why), "open: %s", err.text);
        return false;
    }
    bool passed = true;
    for (uint32_t i = 0; passed && i < suite->n_threads; i++) {
        struct scree_session_options options = {.n_threads = suite->threads[i]};
        struct scree_session *session;
        record.at = 0;
        if (scree_session_new(model, &options, &session, &err) < 0) {
            snprintf(suite->why, sizeof(suite->why), "session: %s", err.text);
            passed = false;
        } else {
            passed = run_session(suite, session, one, &record);
            scree_session_free(session);
        }
    }
    free(record.bytes);
    scree_model_unref(model);
    return passed;
}

/* ---- counting ----------------------------------------------------------------------------------
 */

static struct op_count *count_of(struct suite *suite, const char *op)
{
    for (uint32_t i = 0; i < suite->n_ops; i++)
        if (strcmp(suite->ops[i].name, op) == 0)
            return &suite->ops[i];
    if (suite->n_ops == MAX_OPS)
        broken_pack();
    struct op_count *count = &suite->ops[suite->n_ops++];
    snprintf(count->name, sizeof(count->name), "%s", op);
    return count;
}

static struct known *known_of(struct suite *suite, const char *name)
{
    for (uint32_t i = 0; i < suite->n_known; i++)
        if (strcmp(suite->known[i].name, name) == 0)
            return &suite->known[i];
    return NULL;
}

static void do_case(struct suite *suite, const struct one_case *one)
{
    char name[80], op[48];
    snprintf(name, sizeof(name), "%.*s", (int)one->name.n, (const char *)one->name.bytes);
    snprintf(op, sizeof(op), "%.*s", (int)one->op.n, (const char *)one->op.bytes);
    if ((suite->op && strcmp(suite->op, op) != 0) || !strstr(name, suite->filter)) {
        suite->skipped++;
        return;
    }
    if (suite->verbose) {
        printf("%s: %.*s\n", name, (int)one->text.n, (const char *)one->text.bytes);
        fflush(stdout);
    }
    bool passed = run_case(suite, one);
    struct op_count *count = count_of(suite, op);
    struct known *known = known_of(suite, name);
    if (known) {
        known->seen = true;
        known->failed = !passed;
    } else if (!passed && (suite->verbose || count->failed < MAX_SHOWN)) {
        printf("FAIL %s: %s\n     %.*s\n", name, suite->why, (int)one->text.n,
               (const char *)one->text.bytes);
    }
    if (known && !passed) {
        suite->skipped++;
    } else if (passed) {
        suite->passed++;
        count->passed++;
    } else {
        suite->failed++;
        count->failed++;
    }
}

static void read_known(struct suite *suite, const char *path)
{
    char line[512];
    FILE *file = fopen(path, "r");
    if (!file) {
        fprintf(stderr, "opdiff: %s: %s\n", path, strerror(errno));
        exit(2);
    }
    while (fgets(line, sizeof(line), file)) {
        size_t n = strcspn(line, " \t\n");
        if (line[0] == '#' || n == 0)
            continue;
        if (suite->n_known == MAX_KNOWN || line[n + strspn(line + n, " \t\n")] == '\0') {
            fprintf(stderr, "opdiff: %s: too long a list, or a line without a reason\n", path);
            exit(2);
        }
        snprintf(suite->known[suite->n_known++].name, sizeof(suite->known[0].name), "%.*s", (int)n,
                 line);
    }
    fclose(file);
}

/* A listed failure that passes, or that is not there, is a failure of the list. */
static void check_known(struct suite *suite)
{
    for (uint32_t i = 0; i < suite->n_known; i++) {
        const struct known *known = &suite->known[i];
        if (known->seen && known->failed)
            continue;
        printf("FAIL %s: is a known failure, but %s\n", known->name,
               known->seen ? "passes" : "is not in the pack");
        suite->failed++;
    }
}

static void report(const struct suite *suite)
{
    for (uint32_t i = 0; i < suite->n_ops; i++) {
        const struct op_count *count = &suite->ops[i];
        if (count->failed)
            printf("%-32s %5" PRIu32 " passed %5" PRIu32 " failed\n", count->name, count->passed,
                   count->failed);
    }
    printf("%" PRIu32 " operators: %" PRIu32 " passed, %" PRIu32 " failed, %" PRIu32 " skipped\n",
           suite->n_ops, suite->passed, suite->failed, suite->skipped);
}

static int usage(void)
{
    fprintf(stderr, "usage: opdiff [--op OP] [--filter TEXT] [--known FILE] [--threads LIST] "
                    "[--verbose] PACK\n");
    return 2;
}

int main(int argc, char **argv)
{
    static struct suite suite = {.filter = "", .threads = {1, 3}, .n_threads = 2};
    const char *path = NULL;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--verbose") == 0)
            suite.verbose = true;
        else if (strncmp(argv[i], "--", 2) != 0)
            path = argv[i];
        else if (!value)
            return usage();
        else if (strcmp(argv[i], "--op") == 0)
            suite.op = argv[++i];
        else if (strcmp(argv[i], "--filter") == 0)
            suite.filter = argv[++i];
        else if (strcmp(argv[i], "--known") == 0)
            read_known(&suite, argv[++i]);
        else if (strcmp(argv[i], "--threads") == 0)
            suite.n_threads = expect_threads(argv[++i], suite.threads, MAX_THREAD_COUNTS);
        else
            return usage();
    }
    if (!path || suite.n_threads == 0)
        return usage();

    struct cursor cursor;
    uint8_t *pack = expect_read_file(path, &cursor.left);
    cursor.at = pack;
    if (memcmp(take(&cursor, 8), "SOPS0001", 8) != 0)
        broken_pack();
    for (uint32_t n = take_u32(&cursor); n > 0; n--) {
        struct one_case one = take_case(&cursor);
        do_case(&suite, &one);
    }
    free(pack);
    check_known(&suite);
    report(&suite);
    return suite.failed || suite.passed == 0;
}
