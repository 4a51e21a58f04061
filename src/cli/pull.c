/* scree pull: a model from the catalogue, or from a URL, into the folder of models. */
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/name.h"
#include "base/text.h"
#include "cli/cli.h"
#include "pull/catalog.h"
#include "vision/side.h"

#define PROGRESS_NS 200000000u

struct pull_args {
    const char *models, *name, *version, *sha256, *member, *catalog, *ca_file;
    size_t max_bytes, min_rate;
    int timeout_s, stall_s;
    bool list, allow_http, quiet, json, help;
};

/* clang-format off */
static const struct scree_option options[] = {
    {"models", 'm', SCREE_OPTION_TEXT, "FOLDER",
     "where to: the folder of 'scree serve --models' (default: $SCREE_MODELS, or models)",
     offsetof(struct pull_args, models), 0, 0},
    {"list", 'l', SCREE_OPTION_FLAG, NULL, "print the catalogue, and do nothing else",
     offsetof(struct pull_args, list), 0, 0},
    {"name", 0, SCREE_OPTION_TEXT, "NAME", "the model's name there (default: as in the catalogue or URL)",
     offsetof(struct pull_args, name), 0, 0},
    {"version", 0, SCREE_OPTION_TEXT, "N", "its version there, a number",
     offsetof(struct pull_args, version), 0, 0},
    {"sha256", 0, SCREE_OPTION_TEXT, "DIGEST", "what the download must have: 64 digits of 0-9, a-f",
     offsetof(struct pull_args, sha256), 0, 0},
    {"member", 0, SCREE_OPTION_TEXT, "PATH",
     "which file of an archive is the model (default: the only .tflite)",
     offsetof(struct pull_args, member), 0, 0},
    {"catalog", 0, SCREE_OPTION_TEXT, "FILE", "a catalogue in place of scree's own",
     offsetof(struct pull_args, catalog), 0, 0},
    {"max-size", 0, SCREE_OPTION_SIZE, "BYTES", "of a download, and of what is in an archive",
     offsetof(struct pull_args, max_bytes), 1, 1099511627776.0},
    {"timeout", 0, SCREE_OPTION_INT, "SECONDS", "for each file, in all",
     offsetof(struct pull_args, timeout_s), 1, 86400},
    {"stall", 0, SCREE_OPTION_INT, "SECONDS", "below --min-rate for so long is given up",
     offsetof(struct pull_args, stall_s), 1, 3600},
    {"min-rate", 0, SCREE_OPTION_SIZE, "BYTES", "a second",
     offsetof(struct pull_args, min_rate), 1, 1073741824.0},
    {"allow-http", 0, SCREE_OPTION_FLAG, NULL,
     "plain http from other machines, too; also behind redirects",
     offsetof(struct pull_args, allow_http), 0, 0},
    {"ca-file", 0, SCREE_OPTION_TEXT, "FILE", "trust these certificates in place of the system's",
     offsetof(struct pull_args, ca_file), 0, 0},
    {"quiet", 'q', SCREE_OPTION_FLAG, NULL, "no progress on a terminal",
     offsetof(struct pull_args, quiet), 0, 0},
    {"json", 0, SCREE_OPTION_FLAG, NULL, "print JSON for programs instead of text",
     offsetof(struct pull_args, json), 0, 0},
    {"help", 'h', SCREE_OPTION_FLAG, NULL, "print this help", offsetof(struct pull_args, help), 0, 0},
    {0}};
/* clang-format on */

static const struct pull_args defaults = {
    .version = "1",
    .max_bytes = 512u << 20,
    .min_rate = 1024,
    .timeout_s = 3600,
    .stall_s = 30,
};

/* ---- the catalogue ---- */

static int open_catalog(const struct pull_args *args, struct scree_catalog *ret,
                        struct scree_error *err)
{
    struct scree_mapped mapped;
    int rc;

    if (!args->catalog)
        return scree_catalog_parse(scree_catalog_text, scree_catalog_bytes, ret, err);
    rc = scree_mapped_open(args->catalog, &mapped, err);
    if (rc < 0)
        return rc;
    rc = scree_catalog_parse((const char *)mapped.bytes, mapped.n_bytes, ret, err);
    scree_mapped_done(&mapped);
    return rc < 0 ? scree_wrap(err, rc, "%s", args->catalog) : 0;
}

static int list_json(const struct scree_catalog *catalog)
{
    json_t *list = json_array();

    for (size_t i = 0; i < catalog->n; i++) {
        const struct scree_catalog_entry *e = &catalog->entries[i];

        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:s, s:s, s:s, s:s*, s:s*, s:s*}", "name",
                                        e->name, "task", e->task, "summary", e->summary, "licence",
                                        e->licence, "url", e->model.url, "sha256", e->model.sha256,
                                        "member", e->member, "labels", e->labels.url));
    }
    return scree_cli_print_json(json_pack("{s:o}", "models", list));
}

static int print_list(const struct pull_args *args, const struct scree_catalog *catalog)
{
    if (args->json)
        return list_json(catalog);
    printf("%-20s  %-8s  %-10s  %-7s  %s\n", "name", "task", "licence", "digest", "what");
    for (size_t i = 0; i < catalog->n; i++) {
        const struct scree_catalog_entry *e = &catalog->entries[i];

        printf("%-20s  %-8s  %-10s  %-7s  %s\n", e->name, e->task, e->licence,
               e->model.sha256 ? "pinned" : "unknown", e->summary);
    }
    return SCREE_EXIT_OK;
}

/* ---- what is asked for ---- */

/* The URL's file name without what tells its kind, as a model's name into char[n]. */
static void name_of_url(const char *url, char *name, size_t n)
{
    static const char *const ends[] = {".tflite", ".tar.gz", ".tgz", ".tar", ".zip"};
    size_t length = strcspn(url, "?#"), first = length, k = 0;

    while (first > 0 && url[first - 1] != '/')
        first--;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        size_t end = strlen(ends[i]);

        if (length - first > end && memcmp(url + length - end, ends[i], end) == 0) {
            length -= end;
            break;
        }
    }
    for (size_t i = first; i < length && k + 1 < n; i++) {
        char one[2] = {url[i], '\0'};

        name[k++] = scree_model_name_is_valid(one) || strchr("_.-", url[i]) ? url[i] : '_';
    }
    name[k] = '\0';
}

static int take_digest(const char *text, struct scree_pull_file *file, struct scree_error *err)
{
    char quoted[90];

    if (strncmp(text, "sha256:", 7) == 0)
        text += 7;
    if (!scree_digest_is_valid(text))
        return scree_fail(err, EINVAL, "--sha256 %s: 64 digits of 0-9, a-f are wanted",
                          scree_text_quote(text, quoted, sizeof quoted));
    file->sha256 = text;
    return 0;
}

/* Puts together what to pull: `what` is a URL, or a name of the catalogue. */
static int choose(const struct pull_args *args, const struct scree_catalog *catalog,
                  const char *what, struct scree_catalog_entry *ret, char *name, size_t n,
                  struct scree_error *err)
{
    const struct scree_catalog_entry *entry = scree_catalog_find(catalog, what);
    char quoted[80];

    if (strstr(what, "://")) {
        name_of_url(what, name, n);
        *ret = (struct scree_catalog_entry){.name = name, .model = {.url = what}};
    } else if (entry) {
        *ret = *entry;
    } else {
        return scree_fail(err, EINVAL, "no model %s in the catalogue: see 'scree pull --list'",
                          scree_text_quote(what, quoted, sizeof quoted));
    }
    ret->name = args->name ? args->name : ret->name;
    ret->member = args->member ? args->member : ret->member;
    if (!scree_model_name_is_valid(ret->name))
        return scree_fail(err, EINVAL, "no model may be called %s: say --name",
                          scree_text_quote(ret->name, quoted, sizeof quoted));
    if (!scree_model_version_is_valid(args->version))
        return scree_fail(err, EINVAL, "--version %s: a number is wanted, from 1",
                          scree_text_quote(args->version, quoted, sizeof quoted));
    return args->sha256 ? take_digest(args->sha256, &ret->model, err) : 0;
}

/* ---- while it is pulled ---- */

struct watch {
    const char *name;
    uint64_t shown_ns;
    bool has_line; /* on the terminal, not ended */
};

static int check(void *context, const void *bytes, size_t n_bytes, struct scree_error *err)
{
    struct scree_model *model;
    int rc = scree_model_open_memory(bytes, n_bytes, &model, err);

    if (rc < 0)
        return scree_wrap(err, rc, "what came is no model that could be used");
    scree_model_unref(model);
    return 0;
}

static void end_line(struct watch *watch)
{
    if (watch->has_line)
        fputs("\r\033[K", stderr);
    watch->has_line = false;
}

static void note(void *context, const char *text)
{
    struct watch *watch = context;

    end_line(watch);
    fprintf(stderr, "scree: %s: %s\n", watch->name, text);
}

static void progress(void *context, const char *what, uint64_t done, uint64_t total)
{
    struct watch *watch = context;
    uint64_t now = scree_cli_now_ns();
    char text[2][32];

    if (done == 0 || now - watch->shown_ns < PROGRESS_NS)
        return;
    watch->shown_ns = now;
    watch->has_line = true;
    fprintf(stderr, "\r\033[K%s: %s: %s", watch->name, what,
            scree_cli_bytes(done, text[0], sizeof text[0]));
    if (total > 0)
        fprintf(stderr, " of %s, %.0f %%", scree_cli_bytes(total, text[1], sizeof text[1]),
                100.0 * (double)done / (double)total);
}

/* The library stays: some that it needs do not bear being unloaded. */
static int load(scree_pull_fn **ret, struct scree_error *err)
{
    char path[600];
    void *library;
    int rc = scree_cli_find_library("pull", "libscree-pull.so", SCREE_PULL_LIBRARY, path,
                                    sizeof path, err);

    if (rc < 0)
        return scree_wrap(err, -ENOTSUP, "downloads are not part of this installation");
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return scree_fail(err, EIO, "%s", dlerror());
    *(void **)ret = dlsym(library, SCREE_PULL_SYMBOL);
    return *ret ? 0 : scree_fail(err, EIO, "%s: %s is not in it", path, SCREE_PULL_SYMBOL);
}

static int check_side(const char *side, struct scree_error *err)
{
    struct scree_side parsed;
    int rc = scree_side_parse(side, strlen(side), &parsed, err);

    if (rc < 0)
        return scree_wrap(err, rc, "the catalogue's side file");
    scree_side_done(&parsed);
    return 0;
}

static int pull(const struct pull_args *args, const struct scree_catalog_entry *entry,
                struct scree_pulled *ret, struct scree_error *err)
{
    struct watch watch = {.name = entry->name};
    const struct scree_pull_options wanted = {
        .folder = args->models,
        .name = entry->name,
        .version = args->version,
        .model = entry->model,
        .labels = entry->labels,
        .member = entry->member,
        .side = entry->side,
        .ca_file = args->ca_file,
        .allow_http = args->allow_http,
        .max_bytes = args->max_bytes,
        .timeout_s = args->timeout_s,
        .stall_s = args->stall_s,
        .min_rate = (int)args->min_rate,
        .check = check,
        .note = note,
        .progress = !args->quiet && isatty(STDERR_FILENO) ? progress : NULL,
        .context = &watch,
    };
    scree_pull_fn *library_pull;
    int rc = entry->side ? check_side(entry->side, err) : 0;

    rc = rc < 0 ? rc : load(&library_pull, err);
    if (rc < 0)
        return rc;
    /* A file that may not grow is an error of write(), not the end. */
    (void)signal(SIGXFSZ, SIG_IGN);
    rc = library_pull(&wanted, ret, err);
    end_line(&watch);
    return rc;
}

/* ---- what is told of it ---- */

static int tell_json(const struct pull_args *args, const struct scree_catalog_entry *entry,
                     const struct scree_pulled *pulled, const char *path)
{
    return scree_cli_print_json(json_pack(
        "{s:s, s:s, s:s, s:b, s:I, s:I, s:s*, s:s, s:b, s:s*}", "name", entry->name, "version",
        args->version, "path", path, "was_there", pulled->was_there, "bytes",
        (json_int_t)pulled->n_bytes, "resumed_bytes", (json_int_t)pulled->n_resumed, "sha256",
        pulled->sha256[0] ? pulled->sha256 : NULL, "model_sha256", pulled->model_sha256, "pinned",
        entry->model.sha256 != NULL, "licence", entry->licence));
}

static int tell(const struct pull_args *args, const struct scree_catalog_entry *entry,
                const struct scree_pulled *pulled)
{
    char path[4096], bytes[32];

    (void)snprintf(path, sizeof path, "%s/%s/%s/model.tflite", args->models, entry->name,
                   args->version);
    if (args->json)
        return tell_json(args, entry, pulled, path);
    printf("%s: %s%s%s%s\n", path, scree_cli_bytes(pulled->n_bytes, bytes, sizeof bytes),
           entry->licence ? ", licence " : "", entry->licence ? entry->licence : "",
           pulled->was_there ? "; it was there" : "");
    if (pulled->n_resumed > 0)
        printf("%s of it came before\n",
               scree_cli_bytes((size_t)pulled->n_resumed, bytes, sizeof bytes));
    if (pulled->was_there)
        printf("sha256 of the model: %s\n", pulled->model_sha256);
    else if (entry->model.sha256)
        printf("sha256 as it should be: %s\n", pulled->sha256);
    else
        printf("nobody has said which digest it should have; for the same again: --sha256 %s\n",
               pulled->sha256);
    return SCREE_EXIT_OK;
}

static int pull_and_tell(const struct pull_args *args, const struct scree_catalog *catalog,
                         const char *what)
{
    struct scree_catalog_entry entry = {0};
    struct scree_pulled pulled;
    struct scree_error err;
    char name[SCREE_MAX_NAME + 2];
    int rc = choose(args, catalog, what, &entry, name, sizeof name, &err);

    if (rc < 0) {
        fprintf(stderr, "scree pull: %s\n", err.text);
        return SCREE_EXIT_USAGE;
    }
    rc = pull(args, &entry, &pulled, &err);
    if (rc < 0)
        return scree_cli_fail(scree_wrap(&err, rc, "%s", entry.name), &err);
    return tell(args, &entry, &pulled);
}

static int check_args(struct pull_args *args, const struct scree_list *what)
{
    const char *models = getenv("SCREE_MODELS");

    if (!args->models)
        args->models = models && *models ? models : "models";
    if (what->n == !args->list)
        return 0;
    fprintf(stderr, "scree pull: %s\nTry 'scree pull --help'.\n",
            args->list ? "nothing is pulled with --list" : "missing: NAME or URL");
    return SCREE_EXIT_USAGE + 1;
}

static int run(int argc, char **argv)
{
    SCREE_LIST_CLEANUP struct scree_list what = {0};
    struct pull_args args = defaults;
    struct scree_catalog catalog;
    struct scree_error err;
    int code = scree_args_parse(&scree_verb_pull, argc, argv, &args, &what), rc;

    if (!code)
        code = check_args(&args, &what);
    if (code)
        return code - 1;
    rc = open_catalog(&args, &catalog, &err);
    if (rc < 0)
        return scree_cli_fail(rc, &err);
    code = args.list ? print_list(&args, &catalog) : pull_and_tell(&args, &catalog, what.v[0]);
    scree_catalog_done(&catalog);
    return code;
}

const struct scree_verb scree_verb_pull = {
    .name = "pull",
    .positionals = "NAME|URL",
    .min_positionals = 0,
    .max_positionals = 1,
    .summary = "Download a model into the folder of models",
    .details =
        "The model becomes FOLDER/NAME/VERSION/model.tflite, whole and checked, or nothing does.\n"
        "What came of a download that ended early is kept: the next pull goes on from there. A\n"
        "version that is there is never replaced. URLs are https; of this machine itself, http\n"
        "too. The model may be in a .tar, .tar.gz or .zip.",
    .options = options,
    .defaults = &defaults,
    .examples = "  scree pull --list\n"
                "  scree pull mobilenet_v2 --models /var/lib/scree/models\n"
                "  scree pull https://example.org/net.tflite --models models --sha256 DIGEST",
    .run = run,
};
