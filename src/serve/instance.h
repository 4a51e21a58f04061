/* serve/instance.h - the instances of a model: opened, and found out about.
 *
 * With a batch an instance has sessions of 1, 2, 4 ... rows, or one of as many as the file has.
 * Whether the rows of a run are what they are alone, to the bit, is tried when the model is loaded:
 * not every model computes its rows each by itself, though its shapes look so.
 *
 * Memory, threads: those of struct scree_served. */
#ifndef SCREE_SERVE_INSTANCE_H
#define SCREE_SERVE_INSTANCE_H

#include "serve/served.h"

/* Opens all instances of served->model, of which the first one and those on an NPU run once, and
 * settles what is the same for all of them. `side` is the path of a side file or NULL. Errors:
 * those of scree_session_new() and scree_vision_new(). What there is after a failure is
 * scree_instances_close()'s. */
int scree_instances_open(struct scree_served *served, const struct scree_served_options *options,
                         const char *side, struct scree_error *err);

void scree_instances_close(struct scree_served *served);

#endif
