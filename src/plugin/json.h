/* plugin/json.h - JSON written into a buffer, piece by piece.
 *
 *     scree_json_add_raw(&buffer, "{");
 *     scree_json_add_pair(&buffer, "kind", kind);
 *     scree_json_add_raw(&buffer, "}");
 *
 * Memory: the buffer's. Threads: none of its own. */
#ifndef SCREE_PLUGIN_JSON_H
#define SCREE_PLUGIN_JSON_H

#include "net/buffer.h"

/* Adds text as it stands. */
void scree_json_add_raw(struct scree_buffer *buffer, const char *text);

/* Adds a string: quoted, escaped, what is not safe to print replaced by '?'. */
void scree_json_add_text(struct scree_buffer *buffer, const char *text);

/* Adds a whole number. */
void scree_json_add_number(struct scree_buffer *buffer, int64_t number);

/* Adds "name":"text". */
void scree_json_add_pair(struct scree_buffer *buffer, const char *name, const char *text);

#endif
