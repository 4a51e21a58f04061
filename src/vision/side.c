#include "vision/side.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "vision/labels.h"

void scree_side_init(struct scree_side *side)
{
    *side = (struct scree_side){
        .background = true,
        .box_coder = {10, 10, 5, 5},
        .anchors = {.base_h = 1, .base_w = 1, .interpolated_ratio = 1},
    };
    for (uint32_t i = 0; i < SCREE_N_ROLES; i++)
        side->outputs[i] = -1;
}

void scree_side_done(struct scree_side *side)
{
    scree_labels_free(side->labels);
    free(side->anchors.list);
    scree_side_init(side);
}

/* ---- values ------------------------------------------------------------------------------------
 */

/* A number in [low, high]. */
static int read_number(json_t *json, double low, double high, float *ret, struct scree_error *err)
{
    double number = json_number_value(json);

    if (!json_is_number(json))
        return scree_fail(err, EBADMSG, "not a number");
    if (!(number >= low && number <= high))
        return scree_fail(err, EBADMSG, "%g is not in [%g, %g]", number, low, high);
    *ret = (float)number;
    return 0;
}

static int read_int(json_t *json, int32_t low, int32_t high, int32_t *ret, struct scree_error *err)
{
    json_int_t number = json_integer_value(json);

    if (!json_is_integer(json))
        return scree_fail(err, EBADMSG, "not an integer");
    if (number < low || number > high)
        return scree_fail(err, EBADMSG, "%lld is not in [%d, %d]", (long long)number, low, high);
    *ret = (int32_t)number;
    return 0;
}

static int read_bool(json_t *json, bool *ret, struct scree_error *err)
{
    if (!json_is_boolean(json))
        return scree_fail(err, EBADMSG, "not true or false");
    *ret = json_is_true(json);
    return 0;
}

/* An array of least to most numbers in [low, high]; *ret_n of them into ret. */
static int read_numbers(json_t *json, uint32_t least, uint32_t most, double low, double high,
                        float *ret, uint32_t *ret_n, struct scree_error *err)
{
    size_t n = json_array_size(json);
    int rc;

    if (!json_is_array(json) || n < least || n > most)
        return scree_fail(err, EBADMSG, "not an array of %u to %u numbers", least, most);
    for (size_t i = 0; i < n; i++) {
        rc = read_number(json_array_get(json, i), low, high, &ret[i], err);
        if (rc < 0)
            return scree_wrap(err, rc, "[%zu]", i);
    }
    *ret_n = (uint32_t)n;
    return 0;
}

/* The text of a JSON string, or "" for anything else: no name is empty. */
static const char *text_of(json_t *json)
{
    return json_is_string(json) ? json_string_value(json) : "";
}

/* The place of a JSON string in names (which end with NULL). */
static int read_name(json_t *json, const char *const *names, uint32_t *ret, struct scree_error *err)
{
    char quoted[48];

    for (uint32_t i = 0; names[i]; i++) {
        if (strcmp(names[i], text_of(json)) == 0) {
            *ret = i;
            return 0;
        }
    }
    return scree_fail(err, EBADMSG, "%s is not a value of this key",
                      json_is_string(json) ? scree_text_quote(text_of(json), quoted, sizeof quoted)
                                           : "what is no text");
}

/* ---- keys --------------------------------------------------------------------------------------
 */

/* A key of an object and the function that takes its value. */
struct key {
    const char *name;
    int (*read)(json_t *json, struct scree_side *side, struct scree_error *err);
};

/* Takes all keys of an object; any that is not in keys[n] is an error. */
static int read_object(json_t *json, const struct key *keys, size_t n, struct scree_side *side,
                       struct scree_error *err)
{
    const char *name;
    json_t *value;
    char quoted[48];

    if (!json_is_object(json))
        return scree_fail(err, EBADMSG, "not an object");
    json_object_foreach(json, name, value)
    {
        size_t i = 0;
        int rc;

        while (i < n && strcmp(keys[i].name, name) != 0)
            i++;
        if (i == n)
            return scree_fail(err, EBADMSG, "the key %s is not known",
                              scree_text_quote(name, quoted, sizeof quoted));
        rc = keys[i].read(value, side, err);
        if (rc < 0)
            return scree_wrap(err, rc, "%s", name);
    }
    return 0;
}

#define N_KEYS(keys) (sizeof(keys) / sizeof((keys)[0]))

static int read_task(json_t *json, struct scree_side *side, struct scree_error *err)
{
    side->task = scree_task_parse(text_of(json));
    if (side->task == SCREE_TASK_ANY)
        return scree_fail(err, EBADMSG, "not 'classify', 'detect', 'segment' or 'pose'");
    return 0;
}

static int read_head(json_t *json, struct scree_side *side, struct scree_error *err)
{
    side->head = scree_head_parse(text_of(json));
    if (side->head == SCREE_HEAD_NONE)
        return scree_fail(err, EBADMSG, "not the name of a head");
    return 0;
}

static int read_outputs(json_t *json, struct scree_side *side, struct scree_error *err)
{
    const char *name;
    json_t *value;
    char quoted[48];

    if (!json_is_object(json))
        return scree_fail(err, EBADMSG, "not an object");
    json_object_foreach(json, name, value)
    {
        enum scree_role role = scree_role_parse(name);
        int rc;

        if (role == SCREE_N_ROLES)
            return scree_fail(err, EBADMSG, "the key %s is not known",
                              scree_text_quote(name, quoted, sizeof quoted));
        rc = read_int(value, 0, INT32_MAX, &side->outputs[role], err);
        if (rc < 0)
            return scree_wrap(err, rc, "%s", name);
    }
    return 0;
}

/* An array of texts, or the name of a built-in list. */
static int read_labels(json_t *json, struct scree_side *side, struct scree_error *err)
{
    size_t n = json_array_size(json);
    const char **texts;
    int rc = 0;

    if (json_is_string(json)) {
        rc = scree_labels_builtin(text_of(json), &side->labels, err);
        return rc == -ENOENT ? -EBADMSG : rc;
    }
    if (!json_is_array(json) || n < 1 || n > SCREE_LABELS_MAX)
        return scree_fail(err, EBADMSG, "not an array of 1 to %u texts", SCREE_LABELS_MAX);
    texts = malloc(n * sizeof *texts);
    if (!texts)
        return scree_fail_memory(err, n * sizeof *texts);
    for (size_t i = 0; i < n && rc == 0; i++) {
        texts[i] = json_string_value(json_array_get(json, i));
        if (!texts[i])
            rc = scree_fail(err, EBADMSG, "[%zu]: not a text", i);
    }
    if (rc == 0)
        rc = scree_labels_from_texts(texts, (uint32_t)n, &side->labels, err);
    free(texts);
    return rc;
}

static int read_fit(json_t *json, struct scree_side *side, struct scree_error *err)
{
    static const char *const names[] = {"stretch", "letterbox", "crop", NULL};
    uint32_t i;
    int rc;

    rc = read_name(json, names, &i, err);
    if (rc < 0)
        return rc;
    side->has_fit = true;
    side->picture.fit = (enum scree_fit_mode)i;
    return 0;
}

/* mean or std: 1 or 3 numbers. */
static int read_affine(json_t *json, double low, struct scree_side *side, float *ret,
                       struct scree_error *err)
{
    uint32_t n;
    int rc;

    rc = read_numbers(json, 1, 3, low, 1e6, ret, &n, err);
    if (rc < 0)
        return rc;
    if (n == 2)
        return scree_fail(err, EBADMSG, "2 numbers for 1 or 3 channels");
    if (n == 1)
        ret[1] = ret[2] = ret[0];
    side->picture.n_values = 3;
    return 0;
}

static int read_mean(json_t *json, struct scree_side *side, struct scree_error *err)
{
    return read_affine(json, -1e6, side, side->picture.mean, err);
}

static int read_std(json_t *json, struct scree_side *side, struct scree_error *err)
{
    return read_affine(json, 1e-6, side, side->picture.std, err);
}

static int read_input(json_t *json, struct scree_side *side, struct scree_error *err)
{
    static const struct key keys[] = {{"fit", read_fit}, {"mean", read_mean}, {"std", read_std}};
    bool has_mean = json_object_get(json, "mean") != NULL;
    bool has_std = json_object_get(json, "std") != NULL;

    if (has_mean != has_std)
        return scree_fail(err, EBADMSG, "'mean' and 'std' come together");
    return read_object(json, keys, N_KEYS(keys), side, err);
}

static int read_units(json_t *json, struct scree_side *side, struct scree_error *err)
{
    static const char *const names[] = {"auto", "normalized", "pixels", NULL};
    uint32_t i;
    int rc;

    rc = read_name(json, names, &i, err);
    if (rc < 0)
        return rc;
    side->units = (enum scree_box_units)i;
    return 0;
}

static int read_scores(json_t *json, struct scree_side *side, struct scree_error *err)
{
    static const char *const names[] = {"auto", "probabilities", "logits", NULL};
    uint32_t i;
    int rc;

    rc = read_name(json, names, &i, err);
    if (rc < 0)
        return rc;
    side->scores = (enum scree_score_kind)i;
    return 0;
}

static int read_background(json_t *json, struct scree_side *side, struct scree_error *err)
{
    return read_bool(json, &side->background, err);
}

static int read_box_coder(json_t *json, struct scree_side *side, struct scree_error *err)
{
    uint32_t n;

    return read_numbers(json, 4, 4, 1e-6, 1e6, side->box_coder, &n, err);
}

/* ---- anchors -----------------------------------------------------------------------------------
 */

/* The number of maps, the same from each key that tells it. */
static int agree_on_maps(struct scree_anchor_spec *spec, json_t *json, struct scree_error *err)
{
    size_t n = json_array_size(json);

    if (!json_is_array(json) || n < 1 || n > SCREE_ANCHOR_MAX_MAPS)
        return scree_fail(err, EBADMSG, "not an array of 1 to %d maps", SCREE_ANCHOR_MAX_MAPS);
    spec->n_maps = (uint32_t)n;
    return 0;
}

/* A map's side, or [height, width]. */
static int read_map(json_t *json, int32_t *ret_h, int32_t *ret_w, struct scree_error *err)
{
    int rc;

    if (!json_is_array(json)) {
        rc = read_int(json, 1, SCREE_ANCHOR_MAX_SIDE, ret_h, err);
        *ret_w = *ret_h;
        return rc;
    }
    if (json_array_size(json) != 2)
        return scree_fail(err, EBADMSG, "not [height, width]");
    rc = read_int(json_array_get(json, 0), 1, SCREE_ANCHOR_MAX_SIDE, ret_h, err);
    return rc < 0 ? rc : read_int(json_array_get(json, 1), 1, SCREE_ANCHOR_MAX_SIDE, ret_w, err);
}

static int read_feature_maps(json_t *json, struct scree_side *side, struct scree_error *err)
{
    struct scree_anchor_spec *spec = &side->anchors;
    int rc;

    rc = agree_on_maps(spec, json, err);
    for (uint32_t i = 0; rc == 0 && i < spec->n_maps; i++) {
        rc = read_map(json_array_get(json, i), &spec->map_h[i], &spec->map_w[i], err);
        if (rc < 0)
            return scree_wrap(err, rc, "[%u]", i);
    }
    return rc;
}

static int read_strides(json_t *json, struct scree_side *side, struct scree_error *err)
{
    struct scree_anchor_spec *spec = &side->anchors;
    int rc;

    rc = agree_on_maps(spec, json, err);
    for (uint32_t i = 0; rc == 0 && i < spec->n_maps; i++) {
        rc = read_int(json_array_get(json, i), 1, SCREE_ANCHOR_MAX_SIDE, &spec->strides[i], err);
        if (rc < 0)
            return scree_wrap(err, rc, "[%u]", i);
    }
    return rc;
}

/* Scales of 0.001 to 10 of the input: generous, and far from overflow. */
#define MIN_SCALE 1e-3
#define MAX_SCALE 10.0

static int read_ratios(json_t *json, struct scree_side *side, struct scree_error *err)
{
    return read_numbers(json, 1, SCREE_ANCHOR_MAX_RATIOS, 1e-2, 1e2, side->anchors.ratios,
                        &side->anchors.n_ratios, err);
}

static int read_interpolated(json_t *json, struct scree_side *side, struct scree_error *err)
{
    return read_number(json, 0, 1e2, &side->anchors.interpolated_ratio, err);
}

static int read_reduce(json_t *json, struct scree_side *side, struct scree_error *err)
{
    return read_bool(json, &side->anchors.reduce_lowest, err);
}

static int read_base(json_t *json, struct scree_side *side, struct scree_error *err)
{
    float base[2];
    uint32_t n;
    int rc;

    rc = read_numbers(json, 2, 2, MIN_SCALE, MAX_SCALE, base, &n, err);
    if (rc < 0)
        return rc;
    side->anchors.base_h = base[0];
    side->anchors.base_w = base[1];
    return 0;
}

static int read_anchor_list(json_t *json, struct scree_side *side, struct scree_error *err)
{
    struct scree_anchor_spec *spec = &side->anchors;
    size_t n = json_array_size(json);

    if (!json_is_array(json) || n < 1 || n > SCREE_MAX_BOXES)
        return scree_fail(err, EBADMSG, "not an array of 1 to %d anchors", SCREE_MAX_BOXES);
    spec->list = calloc(n, sizeof *spec->list);
    if (!spec->list)
        return scree_fail_memory(err, n * sizeof *spec->list);
    spec->n_list = (uint32_t)n;
    for (size_t i = 0; i < n; i++) {
        float box[4];
        uint32_t n_box;
        int rc;

        rc = read_numbers(json_array_get(json, i), 4, 4, -MAX_SCALE, MAX_SCALE, box, &n_box, err);
        if (rc == 0 && (box[2] <= 0 || box[3] <= 0))
            rc = scree_fail(err, EBADMSG, "no area");
        if (rc < 0)
            return scree_wrap(err, rc, "[%zu]", i);
        spec->list[i] = (struct scree_anchor){box[0], box[1], box[2], box[3]};
    }
    return 0;
}

/* min_scale, max_scale and scales depend on the number of maps: read_anchors() takes them last. */
static int skip(json_t *json, struct scree_side *side, struct scree_error *err)
{
    (void)json, (void)side, (void)err;
    return 0;
}

static int read_scales(json_t *json, struct scree_anchor_spec *spec, struct scree_error *err)
{
    json_t *scales = json_object_get(json, "scales");
    float low = 0, high = 0;
    uint32_t n = spec->n_maps;
    int rc;

    if (scales) {
        rc = read_numbers(scales, n + 1, n + 1, MIN_SCALE, MAX_SCALE, spec->scales, &n, err);
        return rc < 0 ? scree_wrap(err, rc, "scales") : 0;
    }
    rc = read_number(json_object_get(json, "min_scale"), MIN_SCALE, MAX_SCALE, &low, err);
    if (rc < 0)
        return scree_wrap(err, rc, "min_scale");
    rc = read_number(json_object_get(json, "max_scale"), MIN_SCALE, MAX_SCALE, &high, err);
    if (rc < 0)
        return scree_wrap(err, rc, "max_scale");
    scree_anchor_scales(spec, low, high);
    return 0;
}

static int read_anchors(json_t *json, struct scree_side *side, struct scree_error *err)
{
    static const struct key keys[] = {
        {"feature_maps", read_feature_maps},
        {"strides", read_strides},
        {"min_scale", skip},
        {"max_scale", skip},
        {"scales", skip},
        {"aspect_ratios", read_ratios},
        {"interpolated_scale_aspect_ratio", read_interpolated},
        {"reduce_boxes_in_lowest_layer", read_reduce},
        {"base_anchor_size", read_base},
        {"list", read_anchor_list},
    };
    int rc;

    rc = read_object(json, keys, N_KEYS(keys), side, err);
    if (rc < 0)
        return rc;
    if (side->anchors.n_list > 0)
        return json_object_size(json) == 1
                   ? 0
                   : scree_fail(err, EBADMSG, "'list' stands for all other keys");
    if (!json_object_get(json, "feature_maps") == !json_object_get(json, "strides"))
        return scree_fail(err, EBADMSG, "one of 'feature_maps' and 'strides' is needed");
    if (side->anchors.n_ratios == 0)
        return scree_fail(err, EBADMSG, "'aspect_ratios' is needed");
    return read_scales(json, &side->anchors, err);
}

/* ---- the file ----------------------------------------------------------------------------------
 */

static int read_side(json_t *json, struct scree_side *side, struct scree_error *err)
{
    static const struct key keys[] = {
        {"task", read_task},           {"head", read_head},
        {"outputs", read_outputs},     {"labels", read_labels},
        {"input", read_input},         {"box_units", read_units},
        {"scores", read_scores},       {"background", read_background},
        {"box_coder", read_box_coder}, {"anchors", read_anchors},
    };

    return read_object(json, keys, N_KEYS(keys), side, err);
}

static int fail_json(json_error_t *error, struct scree_error *err)
{
    if (json_error_code(error) == json_error_out_of_memory)
        return scree_fail(err, ENOMEM, "no memory for the JSON values");
    scree_text_make_safe(error->text, strlen(error->text));
    return scree_fail(err, EBADMSG, "line %d, column %d: %s", error->line, error->column,
                      error->text);
}

int scree_side_parse(const char *text, size_t n, struct scree_side *ret_side,
                     struct scree_error *err)
{
    struct scree_side side;
    json_error_t error;
    json_t *json;
    int rc;

    if (n > SCREE_SIDE_MAX_BYTES)
        return scree_fail(err, E2BIG, "%zu bytes are over %u", n, SCREE_SIDE_MAX_BYTES);
    json = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);
    if (!json)
        return fail_json(&error, err);
    scree_side_init(&side);
    rc = read_side(json, &side, err);
    json_decref(json);
    if (rc < 0) {
        scree_side_done(&side);
        return rc;
    }
    *ret_side = side;
    return 0;
}

int scree_side_open(const char *path, struct scree_side *ret_side, struct scree_error *err)
{
    uint8_t *bytes;
    size_t n;
    int rc;

    rc = scree_file_read(path, SCREE_SIDE_MAX_BYTES, &bytes, &n, err);
    if (rc < 0)
        return rc;
    rc = scree_side_parse((const char *)bytes, n, ret_side, err);
    free(bytes);
    return rc < 0 ? scree_wrap(err, rc, "%s", path) : 0;
}
