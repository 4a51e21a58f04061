/* scree segment: what each pixel belongs to. */
#include <stdlib.h>

#include "cli/look.h"
#include "vision/show.h"

static const struct scree_option options[] = {
    {"threshold", 0, SCREE_OPTION_FLOAT, "SHARE",
     "the least share of the picture for a class to be told (default 0.005)",
     offsetof(struct scree_look_args, threshold), 0, 1},
    SCREE_LOOK_OPTIONS,
    {0}};

static void tell_shares(const struct scree_look *look, const double *shares, json_t *json)
{
    json_t *list = json ? json_array() : NULL;

    for (uint32_t id = 0; id < SCREE_CLASS_NONE; id++) {
        char name[32];

        if (shares[id] < look->args->threshold || shares[id] <= 0)
            continue;
        if (json) {
            json_t *item = json_pack("{s:f}", "share", shares[id]);

            scree_look_add_class(look, item, id);
            json_array_append_new(list, item);
        } else {
            printf("  %5u  %-24s %5.1f %%\n", id, scree_look_name(look, id, name, sizeof name),
                   100 * shares[id]);
        }
    }
    if (json)
        json_object_set_new(json, "classes", list);
}

static int answer(struct scree_look *look, json_t *json, struct scree_error *err)
{
    size_t n = (size_t)look->w * (size_t)look->h;
    uint8_t *classes = malloc(n);
    double shares[256] = {0};
    int rc;

    if (!classes)
        return scree_fail_memory(err, n);
    rc = scree_segment(look->vision, look->session, &look->fit, look->w, look->h, classes, err);
    for (size_t i = 0; rc >= 0 && i < n; i++)
        shares[classes[i]] += 1.0 / (double)n;
    if (rc >= 0)
        tell_shares(look, shares, json);
    if (rc >= 0 && look->image)
        scree_show_mask(look->image, classes, 0, look->args->threshold, look->labels);
    free(classes);
    return rc;
}

static int run(int argc, char **argv)
{
    struct scree_look_args args = {.threshold = 0.005};
    const struct scree_look_verb verb = {&scree_verb_segment, SCREE_TASK_SEGMENT, answer};

    return scree_look_run(&verb, &args, argc, argv);
}

const struct scree_verb scree_verb_segment = {
    .name = "segment",
    .positionals = "MODEL IMAGE...",
    .min_positionals = 2,
    .max_positionals = 1000000,
    .summary = "Tell what each pixel of a picture belongs to",
    .details = "Knows DeepLab and other models that answer with a class, or with scores, for each "
               "pixel.",
    .options = options,
    .examples = "  scree segment deeplab.tflite dog.bmp --labels voc-21 --draw out.png",
    .run = run,
};
