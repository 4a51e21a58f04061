/* Answers as pictures: what was found, drawn into what was sent. */
#include <stdlib.h>
#include <string.h>

#include "net/accept.h"
#include "net/base64.h"
#include "serve/server.h"
#include "vision/show.h"

#define JPEG_QUALITY 90

/* The least score of a key point to be drawn, and the least share of a class to be in the legend,
 * as the verbs of the command line have them. */
#define LEAST_POINT 0.2f
#define LEAST_SHARE 0.005

bool scree_api_wants_drawing(const struct scree_request *request)
{
    const char *accept = scree_request_header(request, "accept");
    const char *draw = scree_request_query(request, "draw");

    if (draw)
        return strcmp(draw, "0") != 0;
    return scree_accept_quality(accept, "image/jpeg") >
           scree_accept_quality(accept, "application/json");
}

static void draw(const struct scree_served *served, struct scree_answer *answer)
{
    switch (answer->task) {
    case SCREE_TASK_CLASSIFY:
        scree_show_classes(answer->image, answer->classes, answer->n, served->labels);
        break;
    case SCREE_TASK_DETECT:
        scree_show_detections(answer->image, answer->detections, answer->n, served->labels);
        break;
    case SCREE_TASK_POSE:
        scree_show_poses(answer->image, answer->poses, answer->n, LEAST_POINT);
        break;
    default:
        scree_show_mask(answer->image, answer->mask, 0, LEAST_SHARE, served->labels);
        break;
    }
}

int scree_api_reply_drawing(struct scree_request *request, const struct scree_served *served,
                            struct scree_answer *answer, struct scree_error *err)
{
    struct scree_buffer body = {0};
    int rc;

    draw(served, answer);
    rc = scree_image_encode_jpeg(answer->image, JPEG_QUALITY, &body.bytes, &body.n, err);
    if (rc < 0)
        return rc;
    body.capacity = body.limit = body.n;
    scree_reply(request, 200, "image/jpeg", &body);
    return 0;
}

/* Adds bytes[n] in base64. */
static int add_base64(json_t *json, const char *key, const uint8_t *bytes, size_t n,
                      struct scree_error *err)
{
    char *text = malloc(SCREE_BASE64_SIZE(n) + 1);
    int rc = -ENOMEM;

    if (text) {
        scree_base64_encode(bytes, n, text);
        rc = json_object_set_new(json, key, json_stringn_nocheck(text, SCREE_BASE64_SIZE(n)));
    }
    free(text);
    return rc < 0 ? scree_fail_memory(err, SCREE_BASE64_SIZE(n)) : 0;
}

int scree_api_add_drawing(json_t *json, const char *key, const struct scree_served *served,
                          struct scree_answer *answer, struct scree_error *err)
{
    uint8_t *bytes;
    size_t n;
    int rc;

    draw(served, answer);
    rc = scree_image_encode_jpeg(answer->image, JPEG_QUALITY, &bytes, &n, err);
    if (rc < 0)
        return rc;
    rc = add_base64(json, key, bytes, n, err);
    free(bytes);
    return rc;
}

int scree_api_add_mask(json_t *json, const char *key, const struct scree_answer *answer,
                       struct scree_error *err)
{
    const struct scree_image mask = {
        .w = answer->w, .h = answer->h, .channels = 1, .pixels = answer->mask};
    uint8_t *bytes;
    size_t n;
    int rc = scree_image_encode_png(&mask, &bytes, &n, err);

    if (rc < 0)
        return rc;
    rc = add_base64(json, key, bytes, n, err);
    free(bytes);
    return rc;
}
