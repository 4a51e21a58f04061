#include "device/emu/options.h"

#include <stdlib.h>
#include <string.h>

struct setting {
    const char *name;
    int (*set)(struct scree_emu_options *options, const char *value, struct scree_error *err);
};

/* A whole number in [low, high]. */
static int parse_number(const char *value, uint64_t low, uint64_t high, uint64_t *ret,
                        struct scree_error *err)
{
    char *end;
    unsigned long long n;

    errno = 0;
    n = strtoull(value, &end, 0);
    if (value[0] < '0' || value[0] > '9' || *end || errno || n < low || n > high)
        return scree_fail(err, EINVAL, "'%s' is not a number in [%llu, %llu]", value,
                          (unsigned long long)low, (unsigned long long)high);
    *ret = n;
    return 0;
}

/* The index of `value` in a list of words that ends with NULL. */
static int parse_word(const char *value, const char *const *words, const char *all, int *ret,
                      struct scree_error *err)
{
    for (int i = 0; words[i]; i++)
        if (strcmp(value, words[i]) == 0) {
            *ret = i;
            return 0;
        }
    return scree_fail(err, EINVAL, "'%s' is none of %s", value, all);
}

static int set_cores(struct scree_emu_options *options, const char *value, struct scree_error *err)
{
    uint64_t n = 0;
    int rc = parse_number(value, 1, 3, &n, err);

    if (rc == 0)
        options->n_cores = (int)n;
    return rc;
}

static int set_rounding(struct scree_emu_options *options, const char *value,
                        struct scree_error *err)
{
    static const char *const words[] = {"even", "up", "away", NULL};

    return parse_word(value, words, "even, up, away", &options->rounding, err);
}

static int set_clock(struct scree_emu_options *options, const char *value, struct scree_error *err)
{
    uint64_t n = 0;
    int rc = parse_number(value, 1, 4000, &n, err);

    if (rc == 0)
        options->clock_mhz = (unsigned)n;
    return rc;
}

static int set_timeout(struct scree_emu_options *options, const char *value,
                       struct scree_error *err)
{
    uint64_t n = 0;
    int rc = parse_number(value, 1, 600000, &n, err);

    if (rc == 0)
        options->timeout_ms = (unsigned)n;
    return rc;
}

static int set_flag(bool *flag, const char *value, struct scree_error *err)
{
    static const char *const words[] = {"0", "1", NULL};
    int n = 0, rc = parse_word(value, words, "0, 1", &n, err);

    if (rc == 0)
        *flag = n;
    return rc;
}

static int set_pace(struct scree_emu_options *options, const char *value, struct scree_error *err)
{
    return set_flag(&options->pace, value, err);
}

static int set_inline(struct scree_emu_options *options, const char *value, struct scree_error *err)
{
    return set_flag(&options->inline_jobs, value, err);
}

static int set_kernel(struct scree_emu_options *options, const char *value, struct scree_error *err)
{
    static const char *const words[] = {"7.2", "6.18", NULL};
    int n = 0, rc = parse_word(value, words, "6.18, 7.2", &n, err);

    if (rc == 0)
        options->linux_6_18 = n;
    return rc;
}

static int set_iova(struct scree_emu_options *options, const char *value, struct scree_error *err)
{
    uint64_t n = 0;
    int rc = parse_number(value, 0, 0xfff00000, &n, err);

    if (rc == 0)
        options->first_iova = (uint32_t)n;
    return rc;
}

static int set_reuse(struct scree_emu_options *options, const char *value, struct scree_error *err)
{
    return set_flag(&options->reuse_iova, value, err);
}

static int set_seed(struct scree_emu_options *options, const char *value, struct scree_error *err)
{
    return parse_number(value, 0, UINT64_MAX, &options->seed, err);
}

/* "@N", "@N+", "%P" or "%P@N+" behind the name of a fault. */
static int parse_when(const char *when, struct scree_emu_fault_rule *rule)
{
    char *end = NULL;

    rule->first = 1;
    rule->last = UINT64_MAX;
    rule->percent = 100;
    if (*when == '%') {
        rule->percent = strtod(when + 1, &end);
        if (end == when + 1 || !(rule->percent >= 0 && rule->percent <= 100))
            return -EINVAL;
        when = end;
    }
    if (*when == '@') {
        rule->first = strtoull(when + 1, &end, 10);
        if (when[1] < '1' || when[1] > '9')
            return -EINVAL;
        rule->last = *end == '+' ? UINT64_MAX : rule->first;
        when = *end == '+' ? end + 1 : end;
    }
    return end && *when == '\0' ? 0 : -EINVAL;
}

static int parse_rule(const char *text, struct scree_emu_fault_rule *rule, struct scree_error *err)
{
    static const char *const names[] = {"timeout", "lost", "eio", "enodev", "corrupt"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t n = strlen(names[i]);

        if (strncmp(text, names[i], n) != 0 || parse_when(text + n, rule) < 0)
            continue;
        rule->fault = (enum scree_emu_fault)(SCREE_EMU_FAULT_TIMEOUT + i);
        return 0;
    }
    return scree_fail(err, EINVAL,
                      "'%s' is not timeout, lost, eio, enodev or corrupt with @N (the Nth job), "
                      "@N+ (from there on) or %%P (P percent of jobs)",
                      text);
}

static int set_faults(struct scree_emu_options *options, const char *value, struct scree_error *err)
{
    char text[64];
    int rc = 0;

    options->n_rules = 0;
    while (rc == 0 && *value) {
        size_t n = strcspn(value, ",");

        if (n >= sizeof text || options->n_rules == SCREE_EMU_MAX_RULES)
            return scree_fail(err, EINVAL, "over %zu letters for a fault, or over %d faults",
                              sizeof text - 1, SCREE_EMU_MAX_RULES);
        memcpy(text, value, n);
        text[n] = '\0';
        rc = parse_rule(text, &options->rules[options->n_rules], err);
        options->n_rules += rc == 0;
        value += value[n] ? n + 1 : n;
    }
    return rc;
}

static int set_stats(struct scree_emu_options *options, const char *value, struct scree_error *err)
{
    options->stats = *value ? value : NULL;
    return 0;
}

static int set_record(struct scree_emu_options *options, const char *value, struct scree_error *err)
{
    options->record = *value ? value : NULL;
    return 0;
}

static int set_root(struct scree_emu_options *options, const char *value, struct scree_error *err)
{
    options->root = *value ? value : NULL;
    return 0;
}

static int set_log(struct scree_emu_options *options, const char *value, struct scree_error *err)
{
    options->log = *value ? value : NULL;
    return 0;
}

static const struct setting settings[] = {
    {"cores", set_cores},       /* NPU cores, 1 to 3 (default 3) */
    {"rounding", set_rounding}, /* where ties go: even (default), up, away */
    {"clock", set_clock},       /* MHz that time is accounted with (default 198) */
    {"timeout", set_timeout},   /* ms until a job that hangs is cancelled (default 500) */
    {"pace", set_pace},         /* 1: a job takes the time the model gives it */
    {"inline", set_inline}, /* 1: a child of fork() starts no threads, as qemu-user 7 cannot there:
                               jobs run within SUBMIT */
    {"kernel", set_kernel}, /* 7.2 (default), or 6.18 with its PREP_BO */
    {"iova", set_iova},     /* the first NPU address given out (default 0) */
    {"reuse", set_reuse},   /* 0: NPU addresses are never given out again (default 1) */
    {"faults", set_faults}, /* what goes wrong: timeout@3,lost%0.5,corrupt@7+ */
    {"seed", set_seed},     /* of random faults (default 1) */
    {"stats", set_stats},   /* file of the counters */
    {"record", set_record}, /* folder for what is submitted */
    {"root", set_root},     /* folder whose /sys, /proc and /dev stand before the real ones */
    {"log", set_log},       /* file for what hardware would not forgive (default: standard error) */
};

#define N_SETTINGS (sizeof settings / sizeof settings[0])

void scree_emu_options_init(struct scree_emu_options *options)
{
    *options = (struct scree_emu_options){
        .n_cores = 3, .clock_mhz = 198, .timeout_ms = 500, .reuse_iova = true, .seed = 1};
}

int scree_emu_options_set(struct scree_emu_options *options, const char *name, const char *value,
                          struct scree_error *err)
{
    for (size_t i = 0; i < N_SETTINGS; i++)
        if (strcmp(name, settings[i].name) == 0) {
            int rc = settings[i].set(options, value, err);

            return rc < 0 ? scree_wrap(err, rc, "%s", name) : 0;
        }
    return scree_fail(err, EINVAL, "no setting '%s'", name);
}

const char *scree_emu_options_name(size_t i)
{
    return i < N_SETTINGS ? settings[i].name : NULL;
}
