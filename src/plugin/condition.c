#include "plugin/condition.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/file.h"
#include "plugin/journal.h"
#include "plugin/json.h"

int scree_condition_write(const struct scree_npus *npus, const char *path, struct scree_error *err)
{
    struct scree_buffer buffer = {.limit = 4096};
    const struct scree_plugin_npu *npu = npus->n > 0 ? &npus->v[0] : NULL;
    char text[256], time[SCREE_CLOCK_BYTES];
    int rc;

    for (uint32_t i = npus->n; i-- > 0;)
        if (!npus->v[i].health.healthy)
            npu = &npus->v[i];
    if (npu)
        (void)snprintf(text, sizeof text, "%s: %s", npu->node.name, npu->health.why.text);
    else
        (void)snprintf(text, sizeof text, "the kernel shows no NPU of the driver rocket");
    scree_clock_text(time);
    scree_json_add_raw(&buffer, "{\"type\":\"NpuReady\",");
    scree_json_add_pair(&buffer, "status", npu && npu->health.healthy ? "True" : "False");
    scree_json_add_raw(&buffer, ",");
    scree_json_add_pair(&buffer, "reason",
                        npu ? scree_reason_name(npu->health.why.reason) : "NoNpu");
    scree_json_add_raw(&buffer, ",");
    scree_json_add_pair(&buffer, "message", text);
    scree_json_add_raw(&buffer, ",");
    scree_json_add_pair(&buffer, "lastTransitionTime", time);
    scree_json_add_raw(&buffer, "}\n");
    rc = buffer.failed ? scree_fail_memory(err, buffer.limit)
                       : scree_file_write(path, buffer.bytes, buffer.n, err);
    scree_buffer_done(&buffer);
    return rc;
}
