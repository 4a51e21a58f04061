/* plugin/condition.h - the health of the node's NPUs as a condition in a file.
 *
 *     {"type":"NpuReady","status":"False","reason":"DriverNotBound","message":"accel0: ...",
 *      "lastTransitionTime":"2026-08-01T10:00:00Z"}
 *
 * are the fields of a Node's condition, for whatever puts conditions on nodes.
 *
 * Memory: none kept. */
#ifndef SCREE_PLUGIN_CONDITION_H
#define SCREE_PLUGIN_CONDITION_H

#include "plugin/npus.h"

/* Writes the file `path`, as a whole. Errors: those of scree_file_write(). */
int scree_condition_write(const struct scree_npus *npus, const char *path, struct scree_error *err);

#endif
