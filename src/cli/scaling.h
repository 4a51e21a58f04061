/* cli/scaling.h - several sessions of one model at once: what more instances bring.
 *
 * Each instance is a session of its own, hence with Teflon a file descriptor and an NPU core of its
 * own. Clients are threads that each take the next free instance, run it and give it back. */
#ifndef SCREE_CLI_SCALING_H
#define SCREE_CLI_SCALING_H

#include "cli/cli.h"

struct scree_scaling {
    const char *path;      /* of the model */
    const char *instances; /* "1,2,3" */
    const char *shapes;    /* as in scree_cli_open_shaped() */
    int concurrency;       /* clients; 0: as many as instances */
    int runs, warmup, seed;
    const struct scree_common_args *common;
};

/* Measures each number of instances in turn and prints a table, or JSON. Returns an exit code. */
int scree_cli_scaling(const struct scree_scaling *scaling);

#endif
