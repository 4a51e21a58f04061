/* scree emu: runs a command with the software NPU in the place of /dev/accel/accel0. */
#include <elf.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "device/emu/board.h"
#include "device/emu/stats.h"

#define EXIT_NOT_RUN 127 /* what a shell says of a command that cannot be run */

/* What a task and a job cost beside their cycles: docs/regcmd.md, "Time". */
#define TASK_US 26.0
#define JOB_US  172.0

struct emu_args {
    int cores, clock, timeout;
    double iova, seed;
    const char *rounding, *kernel, *faults, *record, *log, *library;
    bool pace, no_reuse, strict, quiet, json, help;
};

/* clang-format off */
static const struct scree_option options[] = {
    {"cores", 0, SCREE_OPTION_INT, "N", "NPU cores (default 3)",
     offsetof(struct emu_args, cores), 1, 3},
    {"npu-clock", 0, SCREE_OPTION_INT, "MHZ",
     "the clock that time is accounted with (default 198, mainline Linux's)",
     offsetof(struct emu_args, clock), 1, 4000},
    {"pace", 0, SCREE_OPTION_FLAG, NULL, "a job takes the time the model gives it, if done sooner",
     offsetof(struct emu_args, pace), 0, 0},
    {"rounding", 0, SCREE_OPTION_TEXT, "HOW", "where ties go: even (default), up or away",
     offsetof(struct emu_args, rounding), 0, 0},
    {"faults", 0, SCREE_OPTION_TEXT, "LIST",
     "what goes wrong: timeout, lost, eio, enodev, corrupt, each with @N, @N+ or %P",
     offsetof(struct emu_args, faults), 0, 0},
    {"seed", 0, SCREE_OPTION_FLOAT, "N", "of faults with %P (default 1)",
     offsetof(struct emu_args, seed), 0, 9e15},
    {"timeout", 0, SCREE_OPTION_INT, "MS", "until a job that hangs is cancelled (default 500)",
     offsetof(struct emu_args, timeout), 1, 600000},
    {"kernel", 0, SCREE_OPTION_TEXT, "VERSION", "the kernel imitated: 7.2 (default) or 6.18",
     offsetof(struct emu_args, kernel), 0, 0},
    {"iova", 0, SCREE_OPTION_FLOAT, "N", "the first NPU address given out (default 0)",
     offsetof(struct emu_args, iova), 0, 4293918720.0},
    {"no-reuse", 0, SCREE_OPTION_FLAG, NULL, "NPU addresses are never given out again",
     offsetof(struct emu_args, no_reuse), 0, 0},
    {"record", 0, SCREE_OPTION_TEXT, "FOLDER", "write down there what is submitted",
     offsetof(struct emu_args, record), 0, 0},
    {"log", 0, SCREE_OPTION_TEXT, "FILE",
     "for what hardware would not forgive (default: standard error)",
     offsetof(struct emu_args, log), 0, 0},
    {"strict", 0, SCREE_OPTION_FLAG, NULL, "fail if there was any of that",
     offsetof(struct emu_args, strict), 0, 0},
    {"library", 0, SCREE_OPTION_TEXT, "FILE",
     "the libscree-emu.so to preload; one of another processor goes to programs under qemu",
     offsetof(struct emu_args, library), 0, 0},
    {"quiet", 'q', SCREE_OPTION_FLAG, NULL, "no report at the end",
     offsetof(struct emu_args, quiet), 0, 0},
    {"json", 0, SCREE_OPTION_FLAG, NULL, "the report as JSON",
     offsetof(struct emu_args, json), 0, 0},
    {"help", 'h', SCREE_OPTION_FLAG, NULL, "print this help",
     offsetof(struct emu_args, help), 0, 0},
    {0}};
/* clang-format on */

/* Folder of one run: the counters, and the board's files under "root". */
struct place {
    char folder[64], stats[96], root[96];
    bool made;
};

/* ---- settings ----------------------------------------------------------------------------------
 */

/* Gives the software NPU a setting, checked here so that the command is not even started. */
static int set(struct scree_emu_options *emu, const char *name, const char *value,
               struct scree_error *err)
{
    char variable[64] = "SCREE_EMU_";
    size_t n = strlen(variable);
    int rc = scree_emu_options_set(emu, name, value, err);

    for (; *name && n + 1 < sizeof variable; name++)
        variable[n++] = (char)(*name - 'a' + 'A');
    variable[n] = '\0';
    if (rc == 0 && setenv(variable, value, 1) < 0)
        rc = scree_fail_memory(err, strlen(value));
    return rc;
}

static int set_number(struct scree_emu_options *emu, const char *name, double value,
                      struct scree_error *err)
{
    char text[32];

    (void)snprintf(text, sizeof text, "%.0f", value);
    return set(emu, name, text, err);
}

static int set_text(struct scree_emu_options *emu, const char *name, const char *value,
                    struct scree_error *err)
{
    return value ? set(emu, name, value, err) : 0;
}

static int set_all(const struct emu_args *args, struct scree_emu_options *emu,
                   struct scree_error *err)
{
    int rc = set_number(emu, "cores", args->cores, err);

    rc = rc < 0 ? rc : set_number(emu, "clock", args->clock, err);
    rc = rc < 0 ? rc : set_number(emu, "timeout", args->timeout, err);
    rc = rc < 0 ? rc : set_number(emu, "seed", args->seed, err);
    rc = rc < 0 ? rc : set_number(emu, "iova", args->iova, err);
    rc = rc < 0 ? rc : set_number(emu, "pace", args->pace, err);
    rc = rc < 0 ? rc : set_number(emu, "reuse", !args->no_reuse, err);
    rc = rc < 0 ? rc : set_text(emu, "rounding", args->rounding, err);
    rc = rc < 0 ? rc : set_text(emu, "kernel", args->kernel, err);
    rc = rc < 0 ? rc : set_text(emu, "faults", args->faults, err);
    rc = rc < 0 ? rc : set_text(emu, "record", args->record, err);
    return rc < 0 ? rc : set_text(emu, "log", args->log, err);
}

/* ---- the library -------------------------------------------------------------------------------
 */

/* The processor that an ELF file is for, 0 if it is none. */
static int machine_of(const char *path)
{
    Elf64_Ehdr head = {0};
    FILE *in = fopen(path, "re");
    size_t n = in ? fread(&head, sizeof head, 1, in) : 0;

    if (in)
        (void)fclose(in);
    return n == 1 && memcmp(head.e_ident, ELFMAG, SELFMAG) == 0 ? head.e_machine : 0;
}

/* Has the command load the library; one for another processor is left to qemu-user, which sets
 * variables of the program it runs from QEMU_SET_ENV, and cannot start threads in a child of
 * fork(). */
static int preload(const char *library, struct scree_error *err)
{
    int machine = machine_of(library);
    const char *before;
    char value[1200];

    if (machine == 0)
        return scree_fail(err, EINVAL, "%s: not a shared library", library);
    if (machine != machine_of("/proc/self/exe")) {
        (void)snprintf(value, sizeof value, "LD_PRELOAD=%s", library);
        return setenv("QEMU_SET_ENV", value, 1) < 0 || setenv("SCREE_EMU_INLINE", "1", 1) < 0
                   ? scree_fail_memory(err, sizeof value)
                   : 0;
    }
    before = getenv("LD_PRELOAD");
    if ((size_t)snprintf(value, sizeof value, "%s%s%s", library, before ? ":" : "",
                         before ? before : "") >= sizeof value)
        return scree_fail(err, E2BIG, "LD_PRELOAD is too long");
    return setenv("LD_PRELOAD", value, 1) < 0 ? scree_fail_memory(err, sizeof value) : 0;
}

/* ---- the run -----------------------------------------------------------------------------------
 */

static int make_place(struct place *place, struct scree_emu_options *emu, struct scree_error *err)
{
    int rc;

    (void)snprintf(place->folder, sizeof place->folder, "/tmp/scree-emu-XXXXXX");
    if (!mkdtemp(place->folder))
        return scree_fail(err, EIO, "%s: %s", place->folder, strerror(errno));
    place->made = true;
    (void)snprintf(place->stats, sizeof place->stats, "%s/stats", place->folder);
    (void)snprintf(place->root, sizeof place->root, "%s/root", place->folder);
    if (mkdir(place->root, 0777) < 0)
        return scree_fail(err, EIO, "%s: %s", place->root, strerror(errno));
    rc = scree_emu_board_make(place->root, emu, err);
    rc = rc < 0 ? rc : set(emu, "stats", place->stats, err);
    return rc < 0 ? rc : set(emu, "root", place->root, err);
}

/* Runs the command and returns its exit code, or 128 and its signal. */
static int run_command(const char *const *words)
{
    int status = 0;
    pid_t child;

    (void)fflush(NULL);
    child = fork();
    if (child == 0) {
        execvp(words[0], (char *const *)(uintptr_t)words);
        fprintf(stderr, "scree: %s: %s\n", words[0], strerror(errno));
        _exit(EXIT_NOT_RUN);
    }
    if (child < 0) {
        fprintf(stderr, "scree: %s: %s\n", words[0], strerror(errno));
        return SCREE_EXIT_FAILED;
    }
    /* What a terminal sends is for the command. */
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGQUIT, SIG_IGN);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* ---- the report --------------------------------------------------------------------------------
 */

static double core_ms(const struct scree_emu_core_stats *core, int mhz)
{
    return ((double)core->cycles / mhz + (double)core->tasks * TASK_US +
            (double)core->jobs * JOB_US) /
           1000;
}

static void print_report(const struct scree_emu_stats *stats, const struct emu_args *args)
{
    uint64_t refused = 0;

    fprintf(stderr, "software NPU: %llu jobs in %llu submits", (unsigned long long)stats->jobs,
            (unsigned long long)stats->submits);
    if (stats->vanished)
        fprintf(stderr, ", %llu vanished", (unsigned long long)stats->vanished);
    if (stats->injected)
        fprintf(stderr, ", %llu faults injected", (unsigned long long)stats->injected);
    fprintf(stderr, "\n");
    for (int i = 0; i < args->cores; i++) {
        const struct scree_emu_core_stats *core = &stats->cores[i];
        char bytes[32];

        refused += core->refused;
        fprintf(stderr, "  core %d: %6llu jobs %6llu tasks %10.3f Mcycles %12s %10.3f ms at %d MHz",
                i, (unsigned long long)core->jobs, (unsigned long long)core->tasks,
                (double)core->cycles / 1e6, scree_cli_bytes(core->bytes, bytes, sizeof bytes),
                core_ms(core, args->clock), args->clock);
        if (core->timeouts)
            fprintf(stderr, ", %llu timed out", (unsigned long long)core->timeouts);
        fprintf(stderr, "\n");
    }
    if (refused)
        fprintf(stderr, "  %llu jobs asked for what hardware would not forgive\n",
                (unsigned long long)refused);
}

static void print_report_json(const struct scree_emu_stats *stats, const struct emu_args *args)
{
    json_t *cores = json_array(), *json;

    for (int i = 0; i < args->cores; i++) {
        const struct scree_emu_core_stats *core = &stats->cores[i];

        json_array_append_new(
            cores,
            json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f}", "jobs", (json_int_t)core->jobs,
                      "tasks", (json_int_t)core->tasks, "interrupts", (json_int_t)core->interrupts,
                      "timeouts", (json_int_t)core->timeouts, "refused", (json_int_t)core->refused,
                      "cycles", (json_int_t)core->cycles, "bytes", (json_int_t)core->bytes, "ms",
                      core_ms(core, args->clock)));
    }
    json = json_pack("{s:I, s:I, s:I, s:I, s:i, s:o}", "submits", (json_int_t)stats->submits,
                     "jobs", (json_int_t)stats->jobs, "vanished", (json_int_t)stats->vanished,
                     "faults_injected", (json_int_t)stats->injected, "clock_mhz", args->clock,
                     "cores", cores);
    json_dumpf(json, stderr, JSON_INDENT(2));
    fprintf(stderr, "\n");
    json_decref(json);
}

/* Prints what the command did. Returns its exit code, or 1 with --strict and something refused. */
static int report(const struct place *place, const struct emu_args *args, int code)
{
    struct scree_emu_stats *stats = NULL;
    uint64_t refused = 0;

    if (scree_emu_stats_open(place->stats, &stats, NULL) < 0)
        return code;
    for (int i = 0; i < args->cores; i++)
        refused += stats->cores[i].refused;
    if (args->json)
        print_report_json(stats, args);
    else if (!args->quiet)
        print_report(stats, args);
    scree_emu_stats_close(stats);
    return code == 0 && args->strict && refused > 0 ? SCREE_EXIT_FAILED : code;
}

static int run_with(const struct emu_args *args, const char *const *words)
{
    struct scree_emu_options emu;
    struct place place = {0};
    struct scree_error err;
    char library[1024];
    int rc, code;

    scree_emu_options_init(&emu);
    rc = set_all(args, &emu, &err);
    if (rc < 0) {
        fprintf(stderr, "scree emu: %s\nTry 'scree emu --help'.\n", err.text);
        return SCREE_EXIT_USAGE;
    }
    if (args->library)
        (void)snprintf(library, sizeof library, "%s", args->library);
    else
        rc = scree_cli_find_library("device/emu", "libscree-emu.so", SCREE_EMU_LIBRARY, library,
                                    sizeof library, &err);
    rc = rc < 0 ? rc : preload(library, &err);
    rc = rc < 0 ? rc : make_place(&place, &emu, &err);
    if (rc < 0)
        code = scree_cli_fail(rc, &err);
    else
        code = report(&place, args, run_command(words));
    if (place.made)
        scree_emu_board_remove(place.folder);
    return code;
}

static int run(int argc, char **argv)
{
    struct emu_args args = {.cores = 3, .clock = 198, .timeout = 500, .seed = 1};
    SCREE_LIST_CLEANUP struct scree_list positionals = {0};
    int rc = scree_args_parse(&scree_verb_emu, argc, argv, &args, &positionals);

    if (rc)
        return rc - 1;
    return run_with(&args, positionals.v);
}

const struct scree_verb scree_verb_emu = {
    .name = "emu",
    .positionals = "-- COMMAND [ARGUMENT...]",
    .min_positionals = 1,
    .max_positionals = 1 << 16,
    .summary = "Run a command with a software NPU in the place of /dev/accel/accel0",
    .details = "The command, and what it starts, finds an RK3588's NPU under mainline Linux: the "
               "device node, the\nfiles of /sys and /proc that tell of it, and three cores that "
               "execute command streams as\ndocs/regcmd.md describes them. What hardware would not "
               "forgive is said and makes the job hang, as\nit would there. At the end a report "
               "goes to standard error; the exit code is the command's.",
    .options = options,
    .examples = "  scree emu -- scree doctor\n"
                "  scree emu --npu-clock 1000 -- python3 classify.py  # what would 1 GHz give?\n"
                "  scree emu --faults timeout@3 -- scree bench model.tflite --device teflon\n"
                "  scree emu --library arm64/libscree-emu.so -- qemu-aarch64 ./program",
    .run = run,
};
