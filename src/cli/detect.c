/* scree detect: where things are. */
#include "cli/look.h"
#include "vision/show.h"

#define MAX_TOP 1000

static const struct scree_option options[] = {
    {"top", 'k', SCREE_OPTION_INT, "N", "how many boxes to tell at most (default 100)",
     offsetof(struct scree_look_args, top), 1, MAX_TOP},
    {"threshold", 0, SCREE_OPTION_FLOAT, "SCORE", "the least score to tell (default 0.5)",
     offsetof(struct scree_look_args, threshold), 0, 1},
    {"iou", 0, SCREE_OPTION_FLOAT, "RATIO",
     "drop a box that overlaps a better one more (default 0.5)",
     offsetof(struct scree_look_args, iou), 0, 1},
    SCREE_LOOK_OPTIONS,
    {0}};

static void tell_box(const struct scree_look *look, const struct scree_detection *box, json_t *list)
{
    char name[32];

    if (list) {
        json_t *item = json_pack("{s:f, s:[f, f, f, f]}", "score", (double)box->score, "box",
                                 (double)box->xmin, (double)box->ymin, (double)box->xmax,
                                 (double)box->ymax);

        scree_look_add_class(look, item, box->class_id);
        json_array_append_new(list, item);
    } else {
        printf("  %5d  %-24s %.3f  x %.0f..%.0f  y %.0f..%.0f\n", box->class_id,
               scree_look_name(look, box->class_id, name, sizeof name), (double)box->score,
               (double)box->xmin, (double)box->xmax, (double)box->ymin, (double)box->ymax);
    }
}

static int answer(struct scree_look *look, json_t *json, struct scree_error *err)
{
    const struct scree_detect_options detect = {.threshold = (float)look->args->threshold,
                                                .iou = (float)look->args->iou};
    struct scree_detection boxes[MAX_TOP];
    json_t *list = json ? json_array() : NULL;
    int n = scree_detect(look->vision, look->session, &look->fit, &detect,
                         (uint32_t)look->args->top, boxes, err);

    for (int i = 0; i < n; i++)
        tell_box(look, &boxes[i], list);
    if (json)
        json_object_set_new(json, "detections", list);
    else if (n == 0)
        printf("  nothing found\n");
    if (look->image && n > 0)
        scree_show_detections(look->image, boxes, (uint32_t)n, look->labels);
    return n < 0 ? n : 0;
}

static int run(int argc, char **argv)
{
    struct scree_look_args args = {.top = 100};
    const struct scree_look_verb verb = {&scree_verb_detect, SCREE_TASK_DETECT, answer};

    return scree_look_run(&verb, &args, argc, argv);
}

const struct scree_verb scree_verb_detect = {
    .name = "detect",
    .positionals = "MODEL IMAGE...",
    .min_positionals = 2,
    .max_positionals = 1000000,
    .summary = "Find things on pictures and tell where they are",
    .details =
        "Knows SSD models with TFLite_Detection_PostProcess, raw SSD heads with anchors in a "
        "side file,\nand YOLOv5, v8 and v11. Boxes are in pixels of the picture.",
    .options = options,
    .examples = "  scree detect ssd.tflite street.jpg --draw out.png\n"
                "  scree detect yolov8n.tflite pictures/ --threshold 0.3 --draw drawn/ --json",
    .run = run,
};
