/* vision/labels.h - the names of classes: what scree.h's scree_labels_... functions are made of.
 *
 * Memory: a list owns one block of text and one table of offsets, or points to a built-in table.
 * Threads: a list may be read by several once it is aligned. */
#ifndef SCREE_VISION_LABELS_H
#define SCREE_VISION_LABELS_H

#include "base/error.h"

/* Limits of label files. The largest list known, iNaturalist's, has 8142 classes. */
#define SCREE_LABELS_MAX_BYTES (16u << 20)
#define SCREE_LABELS_MAX       1000000u

/* A list that is built in; a NULL entry is a class without a name. */
struct scree_label_table {
    const char *name;
    uint32_t n;
    const char *const *texts; /* char *[n] */
};

/* The built-in list `name`, or NULL. */
const struct scree_label_table *scree_label_table_find(const char *name);

/* The name of the built-in list number i, or NULL if there are no more: for help texts. */
const char *scree_label_table_name(size_t i);

/* A list of the n texts, copied; texts[i] NULL is a class without a name.
 * Errors: ENOMEM, E2BIG (over SCREE_LABELS_MAX or SCREE_LABELS_MAX_BYTES). */
int scree_labels_from_texts(const char *const *texts, uint32_t n, struct scree_labels **ret_labels,
                            struct scree_error *err);

/* A list of its own with the same names. Errors: ENOMEM. */
int scree_labels_copy(const struct scree_labels *labels, struct scree_labels **ret_labels,
                      struct scree_error *err);

#endif
