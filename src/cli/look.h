/* cli/look.h - what classify, detect, segment and pose share: pictures in, answers out.
 *
 * A verb hands in its task and two functions: one that makes its answer for a picture that has been
 * run, and writes it as text or JSON, and one that draws it. Everything else is here: opening,
 * labels, several pictures and folders, times, progress, exit code. */
#ifndef SCREE_CLI_LOOK_H
#define SCREE_CLI_LOOK_H

#include "cli/cli.h"
#include "media/draw.h"

struct scree_look_args {
    const char *labels, *draw, *side;
    int top;
    double threshold; /* 0: the default of the task */
    double iou;
    bool upright;
    struct scree_common_args common;
};

/* The rows every such verb has. */
/* clang-format off */
#define SCREE_LOOK_OPTIONS                                                                         \
    {"labels", 'l', SCREE_OPTION_TEXT, "FILE",                                                     \
     "names of the classes: a file, or coco-91, coco-80, voc-21",                                  \
     offsetof(struct scree_look_args, labels), 0, 0},                                              \
    {"draw", 'o', SCREE_OPTION_TEXT, "OUT",                                                        \
     "draw the answer: a .png or .jpg, or a folder for several",                                   \
     offsetof(struct scree_look_args, draw), 0, 0},                                                \
    {"side", 0, SCREE_OPTION_TEXT, "FILE",                                                         \
     "what the model does not say of itself (default MODEL.json)",                                 \
     offsetof(struct scree_look_args, side), 0, 0},                                                \
    {"upright", 0, SCREE_OPTION_FLAG, NULL, "turn pictures as their EXIF data say",                \
     offsetof(struct scree_look_args, upright), 0, 0},                                             \
    SCREE_COMMON_OPTIONS(struct scree_look_args, common)
/* clang-format on */

/* One picture that the model has seen. */
struct scree_look {
    const struct scree_look_args *args;
    struct scree_vision *vision;
    const struct scree_session *session;
    const struct scree_labels *labels; /* may be NULL */
    int32_t w, h;                      /* of the picture */
    struct scree_image *image;         /* NULL unless the answer is to be drawn into it */
    struct scree_fit fit;
};

struct scree_look_verb {
    const struct scree_verb *verb;
    enum scree_task task;
    /* Reads the answer; writes it to stdout if `json` is NULL, else into that object; draws it into
     * look->image unless that is NULL. Returns 0 or a negative errno. */
    int (*answer)(struct scree_look *look, json_t *json, struct scree_error *err);
};

/* The whole verb. Returns an exit code. */
int scree_look_run(const struct scree_look_verb *look_verb, struct scree_look_args *args, int argc,
                   char **argv);

/* The name of a class, or "class N" into text[n]. */
const char *scree_look_name(const struct scree_look *look, int64_t class_id, char *text, size_t n);

/* Adds "class" and, if it has one, "label" to a JSON object. */
void scree_look_add_class(const struct scree_look *look, json_t *json, int64_t class_id);

#endif
