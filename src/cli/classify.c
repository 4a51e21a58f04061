/* scree classify: what is on a picture. */
#include "cli/look.h"
#include "vision/show.h"

#define MAX_TOP 1000

static const struct scree_option options[] = {
    {"top", 'k', SCREE_OPTION_INT, "N", "how many classes to tell (default 5)",
     offsetof(struct scree_look_args, top), 1, MAX_TOP},
    {"threshold", 0, SCREE_OPTION_FLOAT, "SCORE", "the least score to tell (default: none)",
     offsetof(struct scree_look_args, threshold), 0, 1e9},
    SCREE_LOOK_OPTIONS,
    {0}};

static int answer(struct scree_look *look, json_t *json, struct scree_error *err)
{
    struct scree_class classes[MAX_TOP];
    json_t *list = json ? json_array() : NULL;
    int n = scree_classify(look->vision, look->session, (uint32_t)look->args->top, classes, err);

    while (n > 0 && (double)classes[n - 1].score < look->args->threshold)
        n--;
    for (int i = 0; i < n; i++) {
        const struct scree_class *found = &classes[i];
        char name[32];

        if (json) {
            json_t *item =
                json_pack("{s:f, s:f}", "score", (double)found->score, "raw", (double)found->raw);

            scree_look_add_class(look, item, found->class_id);
            json_array_append_new(list, item);
        } else {
            printf("  %5d  %-32s %.6f  (raw %g)\n", found->class_id,
                   scree_look_name(look, found->class_id, name, sizeof name), (double)found->score,
                   (double)found->raw);
        }
    }
    if (json)
        json_object_set_new(json, "classes", list);
    if (look->image && n > 0)
        scree_show_classes(look->image, classes, (uint32_t)n, look->labels);
    return n < 0 ? n : 0;
}

static int run(int argc, char **argv)
{
    struct scree_look_args args = {.top = 5};
    const struct scree_look_verb verb = {&scree_verb_classify, SCREE_TASK_CLASSIFY, answer};

    return scree_look_run(&verb, &args, argc, argv);
}

const struct scree_verb scree_verb_classify = {
    .name = "classify",
    .positionals = "MODEL IMAGE...",
    .min_positionals = 2,
    .max_positionals = 1000000,
    .summary = "Tell what is on pictures",
    .details = "An IMAGE is a JPEG, PNG, WebP, BMP or PPM file, or a folder of them. Pictures are "
               "resized to\nthe model's input with Pillow's bilinear filter.",
    .options = options,
    .examples = "  scree classify mobilenet.tflite cat.jpg --labels imagenet_labels.txt --top 3",
    .run = run,
};
