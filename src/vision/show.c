#include "vision/show.h"

#include <stdio.h>

#include "base/text.h"
#include "media/draw.h"
#include "vision/segment.h"

/* How strongly a mask covers the picture, of 255. */
#define MASK_ALPHA 140

/* Longer names are cut: a tag should fit into the picture. */
#define NAME_BYTES 64

char *scree_show_name(const struct scree_labels *labels, int32_t class_id, char *text, size_t n)
{
    const char *name = scree_labels_get(labels, class_id);

    if (name)
        return scree_text_copy(name, text, n);
    (void)snprintf(text, n, "class %d", class_id);
    return text;
}

/* "name 0.84" into text[NAME_BYTES + 16]. */
static void tag_text(const struct scree_labels *labels, int32_t class_id, float score, char *text)
{
    char name[NAME_BYTES];

    (void)snprintf(text, NAME_BYTES + 16, "%s %.2f",
                   scree_show_name(labels, class_id, name, sizeof name), (double)score);
}

/* Line number i of a list in the left upper corner. */
static void draw_line_of_list(struct scree_image *image, uint32_t i, const char *text,
                              struct scree_color color)
{
    int32_t scale = scree_draw_text_scale(image);
    float height = (float)(SCREE_GLYPH_H * scale + 2 * scale);

    scree_draw_tag(image, 0, (float)(i + 1) * height, text, scale, color);
}

void scree_show_classes(struct scree_image *image, const struct scree_class *classes, uint32_t n,
                        const struct scree_labels *labels)
{
    char text[NAME_BYTES + 16];

    for (uint32_t i = 0; i < n; i++) {
        tag_text(labels, classes[i].class_id, classes[i].score, text);
        draw_line_of_list(image, i, text, scree_draw_palette((uint32_t)classes[i].class_id));
    }
}

void scree_show_detections(struct scree_image *image, const struct scree_detection *detections,
                           uint32_t n, const struct scree_labels *labels)
{
    int32_t width = scree_draw_line_width(image), scale = scree_draw_text_scale(image);
    char text[NAME_BYTES + 16];

    for (uint32_t i = n; i-- > 0;) {
        const struct scree_detection *d = &detections[i];
        struct scree_color color = scree_draw_palette((uint32_t)d->class_id);

        scree_draw_box(image, d->xmin, d->ymin, d->xmax, d->ymax, width, color);
        tag_text(labels, d->class_id, d->score, text);
        scree_draw_tag(image, d->xmin, d->ymin, text, scale, color);
    }
}

void scree_show_poses(struct scree_image *image, const struct scree_pose *poses, uint32_t n,
                      float threshold)
{
    float width = (float)scree_draw_line_width(image);
    const uint8_t(*edges)[2];
    uint32_t n_edges = scree_pose_edges(&edges);

    for (uint32_t i = n; i-- > 0;) {
        struct scree_color line = scree_draw_palette(i), dot = scree_draw_contrast(line);
        const struct scree_keypoint *k = poses[i].keypoints;

        for (uint32_t e = 0; e < n_edges; e++) {
            const struct scree_keypoint *a = &k[edges[e][0]], *b = &k[edges[e][1]];

            if (a->score >= threshold && b->score >= threshold)
                scree_draw_line(image, a->x, a->y, b->x, b->y, width, line);
        }
        for (uint32_t p = 0; p < SCREE_N_KEYPOINTS; p++)
            if (k[p].score >= threshold)
                scree_draw_disc(image, k[p].x, k[p].y, width, dot);
    }
}

/* Blends each run of equal pixels of one row. */
static void blend_row(struct scree_image *image, int32_t y, const uint8_t *row, int32_t background)
{
    int32_t end;

    for (int32_t x = 0; x < image->w; x = end) {
        struct scree_rect run = {x, y, 1, 1};

        for (end = x + 1; end < image->w && row[end] == row[x]; end++)
            run.w++;
        if (row[x] != background && row[x] != SCREE_CLASS_NONE)
            scree_draw_fill(image, run, scree_draw_palette(row[x]), MASK_ALPHA);
    }
}

void scree_show_mask(struct scree_image *image, const uint8_t *classes, int32_t background,
                     double least_share, const struct scree_labels *labels)
{
    uint64_t counts[256] = {0}, n = (uint64_t)image->w * (uint64_t)image->h;
    char name[NAME_BYTES];
    uint32_t n_lines = 0;

    for (int32_t y = 0; y < image->h; y++)
        blend_row(image, y, classes + (size_t)y * (size_t)image->w, background);
    scree_segment_count(classes, (size_t)n, counts);
    for (int32_t k = 0; k < SCREE_CLASS_NONE; k++)
        if (k != background && counts[k] > 0 && (double)counts[k] >= least_share * (double)n)
            draw_line_of_list(image, n_lines++, scree_show_name(labels, k, name, sizeof name),
                              scree_draw_palette((uint32_t)k));
}
