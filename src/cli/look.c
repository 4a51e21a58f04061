#include "cli/look.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

struct looker {
    const struct scree_look_verb *verb;
    const struct scree_look_args *args;
    struct scree_model *model;
    struct scree_session *session;
    struct scree_vision *vision;
    struct scree_labels *labels;
    uint32_t input;
    struct scree_picture_options picture;
    bool draw_folder;
    json_t *results; /* with --json */
};

/* ---- which pictures ----------------------------------------------------------------------------
 */

struct paths {
    size_t n, capacity;
    char **v;
};

static bool add_path(struct paths *paths, const char *folder, const char *name)
{
    size_t n = strlen(folder) + strlen(name) + 2;

    if (paths->n == paths->capacity) {
        size_t capacity = 2 * paths->capacity + 16;
        char **grown = realloc(paths->v, capacity * sizeof *grown);

        if (!grown)
            return false;
        paths->v = grown;
        paths->capacity = capacity;
    }
    paths->v[paths->n] = malloc(n);
    if (!paths->v[paths->n])
        return false;
    (void)snprintf(paths->v[paths->n++], n, "%s%s%s", folder, folder[0] ? "/" : "", name);
    return true;
}

static int is_picture(const struct dirent *entry)
{
    static const char *const endings[] = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm", ".pgm"};
    const char *dot = strrchr(entry->d_name, '.');

    for (size_t i = 0; dot && i < sizeof endings / sizeof endings[0]; i++)
        if (strcasecmp(dot, endings[i]) == 0)
            return 1;
    return 0;
}

static bool add_folder(struct paths *paths, const char *folder)
{
    struct dirent **entries;
    int n = scandir(folder, &entries, is_picture, alphasort);
    bool ok = n >= 0;

    for (int i = 0; i < n; i++) {
        ok = ok && add_path(paths, folder, entries[i]->d_name);
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
    return ok;
}

static bool collect_paths(const struct scree_list *names, int first, struct paths *paths)
{
    for (int i = first; i < names->n; i++) {
        struct stat st;
        bool is_folder = stat(names->v[i], &st) == 0 && S_ISDIR(st.st_mode);

        if (!(is_folder ? add_folder(paths, names->v[i]) : add_path(paths, "", names->v[i])))
            return false;
    }
    return true;
}

static void free_paths(struct paths *paths)
{
    for (size_t i = 0; i < paths->n; i++)
        free(paths->v[i]);
    free(paths->v);
}

/* ---- what the model is -------------------------------------------------------------------------
 */

static int open_labels(struct looker *looker, struct scree_error *err)
{
    const char *name = looker->args->labels;
    int rc;

    if (!name) {
        rc = scree_vision_labels(looker->vision, looker->model, &looker->labels, err);
        return rc == -ENOENT ? 0 : rc;
    }
    rc = scree_labels_builtin(name, &looker->labels, err);
    if (rc == -ENOENT)
        rc = scree_labels_open(name, &looker->labels, err);
    if (rc >= 0)
        scree_vision_align(looker->vision, looker->labels);
    return rc;
}

static int open_vision(struct looker *looker, const char *path, struct scree_error *err)
{
    char side[4096];
    struct scree_vision_options options = {
        .task = looker->verb->task,
        .side_file = looker->args->side ? looker->args->side
                                        : scree_cli_side(path, side, sizeof side),
    };
    int rc = scree_vision_new(looker->session, &options, &looker->vision, err);

    if (rc >= 0)
        rc = scree_vision_picture(looker->vision, &looker->input, &looker->picture, err);
    if (rc < 0)
        return scree_wrap(err, rc, "%s", path);
    return open_labels(looker, err);
}

/* ---- one picture -------------------------------------------------------------------------------
 */

/* Where the drawing of `path` goes. */
static void drawing_path(const struct looker *looker, const char *path, char *text, size_t n)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');

    if (!looker->draw_folder)
        (void)snprintf(text, n, "%s", looker->args->draw);
    else
        (void)snprintf(text, n, "%s/%.*s.png", looker->args->draw,
                       dot ? (int)(dot - name) : (int)strlen(name), name);
}

static double ms_since(uint64_t *start)
{
    uint64_t now = scree_cli_now_ns();
    double ms = (double)(now - *start) / 1e6;

    *start = now;
    return ms;
}

static int draw_answer(struct looker *looker, const char *path, const struct scree_image *image,
                       json_t *json, struct scree_error *err)
{
    char out[4096];
    int rc;

    drawing_path(looker, path, out, sizeof out);
    rc = scree_image_write(image, out, err);
    if (rc >= 0 && json)
        json_object_set_new(json, "drawing", json_string(out));
    else if (rc >= 0)
        printf("  drawn in %s\n", out);
    return rc;
}

/* Runs the model on what scree_session_set_image() has put into its input. */
static int run_look(struct looker *looker, struct scree_look *look, const char *path,
                    uint64_t *clock, json_t *json, struct scree_error *err)
{
    double compute;
    int rc = scree_session_run(looker->session, err);

    if (rc < 0)
        return rc;
    compute = ms_since(clock);
    if (!json)
        printf("%s: %d x %d, %.1f ms\n", path, look->w, look->h, compute);
    rc = looker->verb->answer(look, json, err);
    if (rc >= 0 && json)
        json_object_update_new(json, json_pack("{s:f, s:f}", "compute_ms", compute,
                                               "postprocess_ms", ms_since(clock)));
    return rc >= 0 && look->image ? draw_answer(looker, path, look->image, json, err) : rc;
}

static int look_at_image(struct looker *looker, struct scree_look *look, const char *path,
                         json_t *json, struct scree_error *err)
{
    uint64_t clock = scree_cli_now_ns();
    double decode;
    int rc = scree_image_open(path, looker->args->upright, &look->image, err);

    if (rc < 0)
        return rc;
    decode = ms_since(&clock);
    look->w = scree_image_width(look->image);
    look->h = scree_image_height(look->image);
    rc = scree_session_set_image(looker->session, looker->input, look->image, &looker->picture,
                                 &look->fit, err);
    if (rc < 0)
        return scree_wrap(err, rc, "%s", path);
    if (json)
        json_object_update_new(json, json_pack("{s:i, s:i, s:f, s:f}", "width", look->w, "height",
                                               look->h, "decode_ms", decode, "preprocess_ms",
                                               ms_since(&clock)));
    else
        ms_since(&clock);
    if (!looker->args->draw) {
        /* A picture is often larger than all that the model needs. */
        scree_image_free(look->image);
        look->image = NULL;
    }
    rc = run_look(looker, look, path, &clock, json, err);
    return rc < 0 ? scree_wrap(err, rc, "%s", path) : 0;
}

static int look_at(struct looker *looker, const char *path, json_t *json, struct scree_error *err)
{
    struct scree_look look = {.args = looker->args,
                              .vision = looker->vision,
                              .session = looker->session,
                              .labels = looker->labels};
    int rc = look_at_image(looker, &look, path, json, err);

    scree_image_free(look.image);
    return rc;
}

/* Looks at all; a picture that fails does not keep the others from their answers. */
static int look_at_all(struct looker *looker, const struct paths *paths)
{
    bool progress = isatty(STDERR_FILENO) && !isatty(STDOUT_FILENO) && paths->n > 1;
    int code = SCREE_EXIT_OK;

    for (size_t i = 0; i < paths->n; i++) {
        json_t *json = looker->results ? json_pack("{s:s}", "image", paths->v[i]) : NULL;
        struct scree_error err;
        int rc;

        if (progress)
            fprintf(stderr, "\r%zu of %zu", i + 1, paths->n);
        rc = look_at(looker, paths->v[i], json, &err);
        if (rc < 0) {
            code = scree_cli_fail(rc, &err);
            if (json)
                json_object_set_new(json, "error", json_string(err.text));
        }
        if (json)
            json_array_append_new(looker->results, json);
    }
    if (progress)
        fprintf(stderr, "\n");
    return code;
}

/* ---- the verb ----------------------------------------------------------------------------------
 */

static int prepare_drawing(struct looker *looker, const struct paths *paths)
{
    const char *out = looker->args->draw;
    struct scree_error err;
    struct stat st;

    if (!out)
        return SCREE_EXIT_OK;
    looker->draw_folder = paths->n != 1 || (stat(out, &st) == 0 && S_ISDIR(st.st_mode));
    if (looker->draw_folder && mkdir(out, 0777) < 0 && errno != EEXIST) {
        fprintf(stderr, "scree: %s: %s\n", out, strerror(errno));
        return SCREE_EXIT_FAILED;
    }
    if (!looker->draw_folder && scree_image_check_name(out, &err) < 0) {
        fprintf(stderr, "scree %s: --draw %s\n", looker->verb->verb->name, err.text);
        return SCREE_EXIT_USAGE;
    }
    return SCREE_EXIT_OK;
}

static int look_with_model(struct looker *looker, const char *model, const struct paths *paths)
{
    struct scree_run_stats stats;
    struct scree_error err;
    int code = prepare_drawing(looker, paths);
    int rc = code ? 0 : open_vision(looker, model, &err);

    if (code)
        return code;
    if (rc < 0)
        return scree_cli_fail(rc, &err);
    looker->results = looker->args->common.json ? json_array() : NULL;
    code = look_at_all(looker, paths);
    scree_session_stats(looker->session, &stats);
    scree_cli_print_note(looker->session);
    if (looker->results &&
        scree_cli_print_json(json_pack("{s:s, s:s, s:s, s:s, s:o}", "model", model, "task",
                                       scree_task_name(scree_vision_task(looker->vision)), "head",
                                       scree_vision_head(looker->vision), "device", stats.device,
                                       "results", looker->results)))
        code = SCREE_EXIT_FAILED;
    return code;
}

int scree_look_run(const struct scree_look_verb *look_verb, struct scree_look_args *args, int argc,
                   char **argv)
{
    struct looker looker = {.verb = look_verb, .args = args};
    SCREE_LIST_CLEANUP struct scree_list positionals = {0};
    struct paths paths = {0};
    int code = scree_args_parse(look_verb->verb, argc, argv, args, &positionals);

    if (code)
        return code - 1;
    if (!collect_paths(&positionals, 1, &paths) || paths.n == 0) {
        fprintf(stderr, "scree %s: no pictures there\n", look_verb->verb->name);
        free_paths(&paths);
        return SCREE_EXIT_BAD_INPUT;
    }
    code = scree_cli_open(positionals.v[0], &args->common, &looker.model, &looker.session);
    if (code == SCREE_EXIT_OK) {
        code = look_with_model(&looker, positionals.v[0], &paths);
        scree_labels_free(looker.labels);
        scree_vision_free(looker.vision);
        scree_session_free(looker.session);
        scree_model_unref(looker.model);
    }
    free_paths(&paths);
    return code;
}

/* ---- classes -----------------------------------------------------------------------------------
 */

const char *scree_look_name(const struct scree_look *look, int64_t class_id, char *text, size_t n)
{
    const char *label = scree_labels_get(look->labels, class_id);

    if (label)
        return label;
    (void)snprintf(text, n, "class %lld", (long long)class_id);
    return text;
}

void scree_look_add_class(const struct scree_look *look, json_t *json, int64_t class_id)
{
    const char *label = scree_labels_get(look->labels, class_id);

    json_object_set_new(json, "class", json_integer(class_id));
    if (label)
        json_object_set_new(json, "label", json_string(label));
}
