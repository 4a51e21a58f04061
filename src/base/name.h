/* base/name.h - the names that models, and versions of them, may have: they become folders, labels
 * of metrics and parts of paths, and so hold nothing that means something there.
 *
 * Memory: none. Threads: no shared state. */
#ifndef SCREE_BASE_NAME_H
#define SCREE_BASE_NAME_H

#include <stdbool.h>

#define SCREE_MAX_NAME    64
#define SCREE_MAX_VERSION 10

/* True for a name that a model may have: a letter or digit, then up to 63 of [A-Za-z0-9_.-],
 * without "..". */
bool scree_model_name_is_valid(const char *name);

/* True for a version: 1 to 10 digits, no zero in front. */
bool scree_model_version_is_valid(const char *version);

#endif
