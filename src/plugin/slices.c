#include "plugin/slices.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "device/discover.h"
#include "plugin/json.h"

/* ---- the machine ----------------------------------------------------------------------------- */

/* "6.18.0-rc1-rockchip" to "6.18.0": three numbers are a semantic version. */
static void cut_version(char *text)
{
    size_t n = strspn(text, "0123456789.");
    uint32_t dots = 0;

    while (n > 0 && text[n - 1] == '.')
        n--;
    text[n] = '\0';
    for (size_t i = 0; i < n; i++)
        dots += text[i] == '.';
    if (dots != 2)
        text[0] = '\0';
}

void scree_slice_look(const struct scree_tree *tree, struct scree_slice_facts *facts)
{
    if (scree_tree_text(tree, "/proc/sys/kernel/osrelease", facts->kernel, sizeof facts->kernel) <
        0)
        facts->kernel[0] = '\0';
    cut_version(facts->kernel);
    facts->clock_mhz = scree_npu_assigned_mhz(tree);
}

/* ---- writing --------------------------------------------------------------------------------- */

static void add_text(struct scree_buffer *buffer, const char *name, const char *kind,
                     const char *text)
{
    if (!text[0])
        return;
    scree_json_add_raw(buffer, ",");
    scree_json_add_text(buffer, name);
    scree_json_add_raw(buffer, ":{");
    scree_json_add_pair(buffer, kind, text);
    scree_json_add_raw(buffer, "}");
}

static void add_number(struct scree_buffer *buffer, const char *name, uint32_t number)
{
    if (number == 0)
        return;
    scree_json_add_raw(buffer, ",");
    scree_json_add_text(buffer, name);
    scree_json_add_raw(buffer, ":{\"int\":");
    scree_json_add_number(buffer, number);
    scree_json_add_raw(buffer, "}");
}

void scree_slice_devices(const struct scree_offer *offer, const struct scree_slice_facts *facts,
                         struct scree_buffer *buffer)
{
    uint32_t n = 0;

    scree_json_add_raw(buffer, "[");
    for (uint32_t i = 0; i < offer->npus->n; i++) {
        const struct scree_plugin_npu *npu = &offer->npus->v[i];

        for (uint32_t s = 0; npu->health.healthy && s < offer->n_shares; s++) {
            char id[SCREE_SHARE_ID];

            if (n == SCREE_SLICE_DEVICES)
                break;
            scree_share_id(npu, s, id);
            scree_json_add_raw(buffer, n++ > 0 ? ",{" : "{");
            scree_json_add_pair(buffer, "name", id);
            scree_json_add_raw(buffer, ",\"attributes\":{\"driver\":{\"string\":\"rocket\"}");
            add_text(buffer, "npu", "string", npu->node.name);
            add_number(buffer, "cores", npu->n_cores);
            add_text(buffer, "kernelVersion", "version", facts->kernel);
            add_number(buffer, "clockMHz", facts->clock_mhz);
            add_text(buffer, "mesaVersion", "version", facts->mesa);
            scree_json_add_raw(buffer, "}}");
        }
    }
    scree_json_add_raw(buffer, "]");
}

void scree_slice_write(const struct scree_slice_facts *facts, const struct scree_buffer *devices,
                       const char *resource_version, const char *node_uid, int64_t generation,
                       struct scree_buffer *buffer)
{
    char name[320];

    (void)snprintf(name, sizeof name, "%s-%s", facts->node, facts->driver);
    scree_json_add_raw(buffer, "{\"apiVersion\":\"resource.k8s.io/v1\",\"kind\":\"ResourceSlice\","
                               "\"metadata\":{");
    scree_json_add_pair(buffer, "name", name);
    if (resource_version[0]) {
        scree_json_add_raw(buffer, ",");
        scree_json_add_pair(buffer, "resourceVersion", resource_version);
    }
    if (node_uid[0]) {
        scree_json_add_raw(buffer, ",\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"Node\","
                                   "\"controller\":true,");
        scree_json_add_pair(buffer, "name", facts->node);
        scree_json_add_raw(buffer, ",");
        scree_json_add_pair(buffer, "uid", node_uid);
        scree_json_add_raw(buffer, "}]");
    }
    scree_json_add_raw(buffer, "},\"spec\":{");
    scree_json_add_pair(buffer, "driver", facts->driver);
    scree_json_add_raw(buffer, ",");
    scree_json_add_pair(buffer, "nodeName", facts->node);
    scree_json_add_raw(buffer, ",\"pool\":{");
    scree_json_add_pair(buffer, "name", facts->node);
    scree_json_add_raw(buffer, ",\"generation\":");
    scree_json_add_number(buffer, generation);
    scree_json_add_raw(buffer, ",\"resourceSliceCount\":1},\"devices\":");
    scree_buffer_add(buffer, devices->bytes, devices->n);
    scree_json_add_raw(buffer, "}}");
}

/* ---- reading --------------------------------------------------------------------------------- */

static json_t *load(const char *json, size_t n, struct scree_error *err)
{
    json_error_t error;
    json_t *root = json_loadb(json, n, JSON_REJECT_DUPLICATES, &error);

    if (root && json_is_object(root))
        return root;
    json_decref(root);
    (void)scree_fail(err, EBADMSG, "the API server's answer is no JSON object");
    return NULL;
}

/* The text at a.b.c, or "". */
static const char *text_at(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

static bool copy(char *to, size_t n, const char *text)
{
    return (size_t)snprintf(to, n, "%s", text) < n;
}

static int add_dump(const char *text, size_t n, void *buffer)
{
    scree_buffer_add(buffer, text, n);
    return ((struct scree_buffer *)buffer)->failed ? -1 : 0;
}

int scree_slice_read(const char *json, size_t n, struct scree_slice_found *ret_found,
                     struct scree_error *err)
{
    json_t *root = load(json, n, err);
    const json_t *spec, *devices;
    bool good;

    *ret_found = (struct scree_slice_found){.devices.limit = (size_t)1 << 19};
    if (!root)
        return -EBADMSG;
    spec = json_object_get(root, "spec");
    devices = json_object_get(spec, "devices");
    ret_found->generation =
        json_integer_value(json_object_get(json_object_get(spec, "pool"), "generation"));
    good = copy(ret_found->resource_version, sizeof ret_found->resource_version,
                text_at(json_object_get(root, "metadata"), "resourceVersion"));
    if (devices)
        (void)json_dump_callback(devices, add_dump, &ret_found->devices, JSON_COMPACT);
    else
        scree_buffer_add(&ret_found->devices, "[]", 2);
    json_decref(root);
    if (!good || ret_found->devices.failed) {
        scree_buffer_done(&ret_found->devices);
        return scree_fail(err, EBADMSG, "the API server's answer is no ResourceSlice");
    }
    return 0;
}

bool scree_slice_same(const struct scree_buffer *a, const struct scree_buffer *b)
{
    json_t *one = json_loadb((const char *)a->bytes, a->n, 0, NULL);
    json_t *two = json_loadb((const char *)b->bytes, b->n, 0, NULL);
    bool same = one && two && json_equal(one, two);

    json_decref(one);
    json_decref(two);
    return same;
}

int scree_slice_uid(const char *json, size_t n, char *uid, struct scree_error *err)
{
    json_t *root = load(json, n, err);
    bool good = root && copy(uid, 64, text_at(json_object_get(root, "metadata"), "uid"));

    json_decref(root);
    return good ? 0 : scree_fail(err, EBADMSG, "the API server's answer is no object with a uid");
}

static int read_results(const json_t *results, const struct scree_slice_facts *facts,
                        struct scree_allotted *allotted, struct scree_error *err)
{
    const json_t *result;
    size_t i;
    int n = 0;

    json_array_foreach(results, i, result)
    {
        struct scree_allotted *to = &allotted[n];

        if (strcmp(text_at(result, "driver"), facts->driver) != 0 ||
            strcmp(text_at(result, "pool"), facts->node) != 0)
            continue;
        if (n == SCREE_ALLOTTED)
            return scree_fail(err, EBADMSG, "the claim has over %d devices here", SCREE_ALLOTTED);
        if (!copy(to->request, sizeof to->request, text_at(result, "request")) ||
            !copy(to->device, sizeof to->device, text_at(result, "device")) ||
            !copy(to->share_id, sizeof to->share_id, text_at(result, "shareID")))
            return scree_fail(err, EBADMSG, "the claim has a name that is too long");
        n++;
    }
    return n;
}

int scree_claim_read(const char *json, size_t n, const struct scree_slice_facts *facts,
                     const char *uid, struct scree_allotted *allotted, struct scree_error *err)
{
    json_t *root = load(json, n, err);
    const json_t *results;
    int rc;

    if (!root)
        return -EBADMSG;
    results = json_object_get(
        json_object_get(json_object_get(json_object_get(root, "status"), "allocation"), "devices"),
        "results");
    if (strcmp(text_at(json_object_get(root, "metadata"), "uid"), uid) != 0)
        rc = scree_fail(err, EINVAL, "the claim of this name is another one now");
    else if (!json_is_array(results))
        rc = scree_fail(err, EINVAL, "the claim is not allocated");
    else
        rc = read_results(results, facts, allotted, err);
    json_decref(root);
    return rc;
}
