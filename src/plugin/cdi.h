/* plugin/cdi.h - the specification by which a container runtime puts an NPU into a container.
 *
 * One file names every NPU as a device KIND=accel0, and for DRA nothing more is needed: a claim is
 * given the same devices. The file stands before anything is offered, is only ever replaced as a
 * whole, and stays when the plugin ends, since containers are started without it.
 *
 * Memory: none kept. Source: the Container Device Interface's SPEC.md, version 0.5.0. */
#ifndef SCREE_PLUGIN_CDI_H
#define SCREE_PLUGIN_CDI_H

#include "net/buffer.h"
#include "plugin/npus.h"

/* The kind of devices for a resource: the same name, with '-' for the dots behind the slash that a
 * CDI class may not have. Writes it into kind[n]. */
void scree_cdi_kind(const char *resource, char *kind, size_t n);

/* The specification as JSON. group: the one that may open the node, or -1 for the user of the
 * container, whoever that is. */
void scree_cdi_write(const struct scree_npus *npus, const char *kind, int64_t group,
                     struct scree_buffer *buffer);

/* Writes it into the folder `dir`, made if it is not there, as a file named for the kind; does
 * nothing if that is there with the same contents. Returns 1 if it wrote, else 0.
 * Errors: those of scree_file_write(). */
int scree_cdi_update(const struct scree_npus *npus, const char *kind, int64_t group,
                     const char *dir, struct scree_error *err);

#endif
