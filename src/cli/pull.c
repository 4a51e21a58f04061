/* scree pull: gets a model by its name or URL, whole and checked. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "cli/cli.h"
#include "pull/catalog.h"
#include "pull/pull.h"
#include "serve/repository.h"
#include "serve/sha256.h"

struct pull_args {
    const char *models, *name, *catalog, *sha256;
    int version;
    size_t max_bytes;
    bool list, json, help;
};

static const struct scree_option options[] = {
    {"models", 0, SCREE_OPTION_TEXT, "FOLDER",
     "where to: FOLDER/NAME/VERSION/model.tflite (default: models)",
     offsetof(struct pull_args, models), 0, 0},
    {"name", 0, SCREE_OPTION_TEXT, "NAME", "what to call it there (default: as in the catalog)",
     offsetof(struct pull_args, name), 0, 0},
    {"version", 0, SCREE_OPTION_INT, "N", "its version there (default 1)",
     offsetof(struct pull_args, version), 1, 999999999},
    {"sha256", 0, SCREE_OPTION_TEXT, "DIGEST", "what its SHA-256 has to be",
     offsetof(struct pull_args, sha256), 0, 0},
    {"max-size", 0, SCREE_OPTION_SIZE, "BYTES", "larger ones are refused (default 512M)",
     offsetof(struct pull_args, max_bytes), 1, 16384.0 * (1 << 20)},
    {"catalog", 0, SCREE_OPTION_TEXT, "FILE", "another list of models than scree's own",
     offsetof(struct pull_args, catalog), 0, 0},
    {"list", 0, SCREE_OPTION_FLAG, NULL, "tell the models of the catalog",
     offsetof(struct pull_args, list), 0, 0},
    {"json", 0, SCREE_OPTION_FLAG, NULL, "print JSON for programs instead of text",
     offsetof(struct pull_args, json), 0, 0},
    {"help", 'h', SCREE_OPTION_FLAG, NULL, "print this help", offsetof(struct pull_args, help), 0,
     0},
    {0}};

static int list(const json_t *catalog, bool json)
{
    json_t *models = json_object_get(catalog, "models"), *entry;
    const char *name;

    if (json)
        return scree_cli_print_json(json_incref(models));
    json_object_foreach(models, name, entry)
    {
        printf("%-26s %s (%s)\n", name, json_string_value(json_object_get(entry, "what")),
               json_string_value(json_object_get(entry, "license")));
    }
    return SCREE_EXIT_OK;
}

static void show_progress(void *context, uint64_t bytes, uint64_t total)
{
    uint64_t *last = context, percent = total > 0 ? bytes * 100 / total : 0;

    if (percent == *last)
        return;
    *last = percent;
    fprintf(stderr, "\r%3d%% of %.1f MiB%s", (int)percent, (double)total / 1048576,
            percent == 100 ? "\n" : "");
}

/* "https://host/a/b.tflite?x" is the model b. */
static bool name_of_url(const char *url, char *name, size_t n)
{
    const char *slash = strrchr(url, '/');
    size_t length = strcspn(slash ? slash + 1 : url, "?#");

    url = slash ? slash + 1 : url;
    if (length > 7 && strncmp(url + length - 7, ".tflite", 7) == 0)
        length -= 7;
    return (size_t)snprintf(name, n, "%.*s", (int)length, url) < n &&
           scree_model_name_is_valid(name);
}

static bool is_url(const char *text)
{
    return strstr(text, "://") != NULL;
}

/* What the catalog knows, or what the command line says of a URL. */
static int find(const struct pull_args *args, const char *what, const json_t *catalog,
                struct scree_catalog_entry *entry, struct scree_error *err)
{
    if (!is_url(what))
        return scree_catalog_find(catalog, what, entry, err);
    *entry = (struct scree_catalog_entry){.name = "", .url = what, .sha256 = args->sha256};
    return 0;
}

static int report(const struct scree_pull *pull, const struct scree_catalog_entry *entry,
                  const char *digest, bool is_new, bool json)
{
    char path[512];

    (void)snprintf(path, sizeof path, "%s/%s/%s/%s", pull->folder, pull->name, pull->version,
                   pull->file);
    if (json)
        return scree_cli_print_json(json_pack("{s:s, s:s, s:s?, s:b, s:b}", "path", path, "sha256",
                                              digest, "license", entry->license, "pinned",
                                              entry->sha256 != NULL, "new", is_new));
    printf("%s%s\n", path, is_new ? "" : " is there already");
    if (is_new && !entry->sha256)
        printf("its SHA-256 is %s; nobody has said what it should be\n", digest);
    if (is_new && entry->license)
        printf("license: %s\n", entry->license);
    return SCREE_EXIT_OK;
}

/* The labels first: a server that sees the model finds them beside it. */
static int pull_labels(struct scree_pull pull, const struct scree_catalog_entry *entry,
                       struct scree_error *err)
{
    char digest[SCREE_SHA256_TEXT];

    if (!entry->labels_url)
        return 0;
    pull.url = entry->labels_url;
    pull.sha256 = entry->labels_sha256;
    pull.file = "labels.txt";
    pull.is_model = false;
    pull.progress = NULL;
    return scree_pull(&pull, digest, err);
}

static int pull_one(const struct pull_args *args, const char *what, const json_t *catalog)
{
    uint64_t percent = UINT64_MAX;
    struct scree_catalog_entry entry;
    char name[128], version[16], digest[SCREE_SHA256_TEXT];
    struct scree_pull pull = {.folder = args->models ? args->models : "models",
                              .name = args->name,
                              .version = version,
                              .file = "model.tflite",
                              .max_bytes = args->max_bytes,
                              .is_model = true,
                              .progress = isatty(STDERR_FILENO) ? show_progress : NULL,
                              .context = &percent};
    struct scree_error err;
    int rc = find(args, what, catalog, &entry, &err);

    if (rc < 0)
        return scree_cli_fail(rc, &err);
    (void)snprintf(version, sizeof version, "%d", args->version);
    pull.url = entry.url;
    pull.sha256 = args->sha256 ? args->sha256 : entry.sha256;
    if (!pull.name && *entry.name)
        pull.name = entry.name;
    if (!pull.name && name_of_url(what, name, sizeof name))
        pull.name = name;
    if (!pull.name || !scree_model_name_is_valid(pull.name)) {
        fprintf(stderr, "scree pull: the model needs a name: --name\n");
        return SCREE_EXIT_USAGE;
    }
    rc = pull_labels(pull, &entry, &err);
    if (rc >= 0)
        rc = scree_pull(&pull, digest, &err);
    return rc < 0 ? scree_cli_fail(rc, &err) : report(&pull, &entry, digest, rc > 0, args->json);
}

static int run(int argc, char **argv)
{
    struct pull_args args = {.version = 1, .max_bytes = (size_t)512 << 20};
    SCREE_LIST_CLEANUP struct scree_list names = {0};
    json_t *catalog = NULL;
    struct scree_error err;
    int rc = scree_args_parse(&scree_verb_pull, argc, argv, &args, &names);

    if (rc)
        return rc - 1;
    if (names.n != !args.list) {
        fprintf(stderr, "scree pull: a name or a URL is wanted, or --list\n");
        return SCREE_EXIT_USAGE;
    }
    if (args.list || !is_url(names.v[0])) {
        rc = scree_catalog_open(args.catalog ? args.catalog : SCREE_CATALOG, &catalog, &err);
        if (rc < 0)
            return scree_cli_fail(rc, &err);
    }
    rc = args.list ? list(catalog, args.json) : pull_one(&args, names.v[0], catalog);
    json_decref(catalog);
    return rc;
}

const struct scree_verb scree_verb_pull = {
    .name = "pull",
    .positionals = "NAME|URL",
    .min_positionals = 0,
    .max_positionals = 1,
    .summary = "Get a model, by a name of the catalog or a URL, into a folder of models",
    .details =
        "The file is checked before it takes its place: its length, its SHA-256 where one is\n"
        "known, and that it is a model. A pull that was cut off goes on where it was. A\n"
        "server that watches the folder serves the model from then on.",
    .options = options,
    .examples = "  scree pull --list\n"
                "  scree pull mobilenet_v1 --models /var/lib/scree/models\n"
                "  scree pull https://example.org/birds.tflite --version 2",
    .run = run,
};
