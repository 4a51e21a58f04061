#include "plugin/cdi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "plugin/json.h"

#define MAX_BYTES ((size_t)64 << 10)

void scree_cdi_kind(const char *resource, char *kind, size_t n)
{
    char *slash;

    (void)snprintf(kind, n, "%s", resource);
    slash = strchr(kind, '/');
    for (char *at = slash; at && *at; at++)
        if (*at == '.')
            *at = '-';
}

static void write_number(struct scree_buffer *buffer, const char *name, int64_t number)
{
    scree_json_add_text(buffer, name);
    scree_json_add_raw(buffer, ":");
    scree_json_add_number(buffer, number);
}

/* With a file mode a runtime makes the node as the spec says, not as it is on the node: 0666
 * reaches a container of any user, which only these containers see; 0660 those with the group. */
static void write_device(const struct scree_plugin_npu *npu, int64_t group,
                         struct scree_buffer *buffer)
{
    scree_json_add_raw(buffer, "{");
    scree_json_add_pair(buffer, "name", npu->node.name);
    scree_json_add_raw(buffer, ",\"containerEdits\":{\"deviceNodes\":[{");
    scree_json_add_pair(buffer, "path", npu->node.path);
    scree_json_add_raw(buffer, ",");
    scree_json_add_pair(buffer, "hostPath", npu->node.path);
    scree_json_add_raw(buffer, ",\"type\":\"c\",");
    write_number(buffer, "major", npu->node.major);
    scree_json_add_raw(buffer, ",");
    write_number(buffer, "minor", npu->node.minor);
    scree_json_add_raw(buffer, ",");
    write_number(buffer, "fileMode", group >= 0 ? 0660 : 0666);
    if (group >= 0) {
        scree_json_add_raw(buffer, ",");
        write_number(buffer, "gid", group);
    }
    scree_json_add_raw(buffer, ",\"permissions\":\"rw\"}]}}");
}

void scree_cdi_write(const struct scree_npus *npus, const char *kind, int64_t group,
                     struct scree_buffer *buffer)
{
    scree_json_add_raw(buffer, "{\"cdiVersion\":\"0.5.0\",");
    scree_json_add_pair(buffer, "kind", kind);
    scree_json_add_raw(buffer, ",\"devices\":[");
    for (uint32_t i = 0; i < npus->n; i++) {
        if (i > 0)
            scree_json_add_raw(buffer, ",");
        write_device(&npus->v[i], group, buffer);
    }
    scree_json_add_raw(buffer, "]}\n");
}

static bool is_same(const char *path, const struct scree_buffer *buffer)
{
    uint8_t *bytes;
    size_t n;
    bool same;

    if (scree_file_read(path, MAX_BYTES, &bytes, &n, NULL) < 0)
        return false;
    same = n == buffer->n && memcmp(bytes, buffer->bytes, n) == 0;
    free(bytes);
    return same;
}

int scree_cdi_update(const struct scree_npus *npus, const char *kind, int64_t group,
                     const char *dir, struct scree_error *err)
{
    struct scree_buffer buffer = {.limit = MAX_BYTES};
    char path[512], name[72];
    int rc = 0;

    /* A specification without devices is not valid; one that is there may still be needed. */
    if (npus->n == 0)
        return 0;
    (void)snprintf(name, sizeof name, "%s", kind);
    *strchr(name, '/') = '-';
    if ((size_t)snprintf(path, sizeof path, "%s/%s.json", dir, name) >= sizeof path)
        return scree_fail(err, EINVAL, "%s: too long a path", dir);
    scree_cdi_write(npus, kind, group, &buffer);
    if (buffer.failed)
        rc = scree_fail_memory(err, buffer.limit);
    else if (!is_same(path, &buffer)) {
        (void)mkdir(dir, 0755);
        rc = scree_file_write(path, buffer.bytes, buffer.n, err);
        rc = rc < 0 ? rc : 1;
    }
    scree_buffer_done(&buffer);
    return rc;
}
