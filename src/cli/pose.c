/* scree pose: where the joints of people are. */
#include "cli/look.h"
#include "vision/show.h"

#define MAX_TOP 100
/* The least score of a point to be drawn, unless told. */
#define DRAWN_THRESHOLD 0.2f

static const struct scree_option options[] = {
    {"top", 'k', SCREE_OPTION_INT, "N", "how many people to tell at most (default 10)",
     offsetof(struct scree_look_args, top), 1, MAX_TOP},
    {"threshold", 0, SCREE_OPTION_FLOAT, "SCORE",
     "the least score of a person, and of a point to draw (default 0.2)",
     offsetof(struct scree_look_args, threshold), 0, 1},
    SCREE_LOOK_OPTIONS,
    {0}};

static const char *point_name(const struct scree_labels *names, int i)
{
    const char *name = scree_labels_get(names, i);

    return name ? name : "";
}

static json_t *pose_json(const struct scree_pose *pose, const struct scree_labels *names)
{
    json_t *points = json_array();

    for (int i = 0; i < SCREE_N_KEYPOINTS; i++) {
        const struct scree_keypoint *point = &pose->keypoints[i];

        json_array_append_new(points, json_pack("{s:s, s:f, s:f, s:f}", "name",
                                                point_name(names, i), "x", (double)point->x, "y",
                                                (double)point->y, "score", (double)point->score));
    }
    return json_pack("{s:f, s:o}", "score", (double)pose->score, "keypoints", points);
}

static void print_pose(const struct scree_pose *pose, const struct scree_labels *names, int index)
{
    printf("  person %d  %.3f\n", index, (double)pose->score);
    for (int i = 0; i < SCREE_N_KEYPOINTS; i++)
        printf("    %-16s %.3f  x %.0f  y %.0f\n", point_name(names, i),
               (double)pose->keypoints[i].score, (double)pose->keypoints[i].x,
               (double)pose->keypoints[i].y);
}

static int tell(struct scree_look *look, const struct scree_labels *names, json_t *json,
                struct scree_error *err)
{
    const struct scree_detect_options detect = {.threshold = (float)look->args->threshold};
    struct scree_pose poses[MAX_TOP];
    int n = scree_pose(look->vision, look->session, &look->fit, &detect, (uint32_t)look->args->top,
                       poses, err);

    if (n < 0)
        return n;
    if (json)
        json_object_set_new(json, "poses", json_array());
    else if (n == 0)
        printf("  nobody found\n");
    for (int i = 0; i < n; i++)
        if (json)
            json_array_append_new(json_object_get(json, "poses"), pose_json(&poses[i], names));
        else
            print_pose(&poses[i], names, i);
    if (look->image)
        scree_show_poses(look->image, poses, (uint32_t)n,
                         detect.threshold > 0 ? detect.threshold : DRAWN_THRESHOLD);
    return 0;
}

static int answer(struct scree_look *look, json_t *json, struct scree_error *err)
{
    struct scree_labels *names;
    int rc = scree_labels_builtin("keypoints-17", &names, err);

    if (rc < 0)
        return rc;
    rc = tell(look, names, json, err);
    scree_labels_free(names);
    return rc;
}

static int run(int argc, char **argv)
{
    struct scree_look_args args = {.top = 10};
    const struct scree_look_verb verb = {&scree_verb_pose, SCREE_TASK_POSE, answer};

    return scree_look_run(&verb, &args, argc, argv);
}

const struct scree_verb scree_verb_pose = {
    .name = "pose",
    .positionals = "MODEL IMAGE...",
    .min_positionals = 2,
    .max_positionals = 1000000,
    .summary = "Find people on pictures and where their joints are",
    .details = "Knows MoveNet (one person) and PoseNet (several).",
    .options = options,
    .examples = "  scree pose movenet.tflite squat.bmp --draw out.png",
    .run = run,
};
