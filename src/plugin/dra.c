#include "plugin/dra.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "plugin/journal.h"

#define SECOND_NS    UINT64_C(1000000000)
#define SLICES       "/apis/resource.k8s.io/v1/resourceslices"
#define EAGER_NS     (60 * SECOND_NS)
#define HEALTH_EVERY 10 /* seconds; the kubelet waits 30 */

/* ---- the ResourceSlice ----------------------------------------------------------------------- */

static void look_at_slice(struct scree_dra *dra);

static void published(struct scree_dra *dra, bool good)
{
    uint64_t now = scree_now_ns();
    uint64_t wait = !good || now < dra->eager_ns ? 5 * SECOND_NS : 60 * SECOND_NS;

    dra->asking = false;
    dra->n_publish_failed += !good;
    dra->publish.at_ns = dra->again ? 1 : now + wait;
    dra->again = false;
}

static void on_written(void *context, int status, const char *body, size_t n)
{
    struct scree_dra *dra = context;
    bool good = status == 200 || status == 201;

    (void)body, (void)n;
    dra->n_published += good;
    if (good)
        SCREE_JOURNAL(INFO, "ResourceSlice published", {"node", dra->facts.node});
    else
        SCREE_JOURNAL(WARNING, "ResourceSlice not published", {"status", NULL, status});
    published(dra, good);
}

static void write_slice(struct scree_dra *dra, const struct scree_buffer *devices,
                        const struct scree_slice_found *found)
{
    struct scree_buffer body = {.limit = (size_t)256 << 10};
    char path[512];
    struct scree_error err;

    scree_slice_write(&dra->facts, devices, found->resource_version, dra->node_uid,
                      found->generation + 1, &body);
    if (found->resource_version[0])
        (void)snprintf(path, sizeof path, SLICES "/%s-%s", dra->facts.node, dra->facts.driver);
    else
        (void)snprintf(path, sizeof path, SLICES);
    if (body.failed || scree_cluster_ask(dra->api, found->resource_version[0] ? "PUT" : "POST",
                                         path, &body, on_written, dra, &err) < 0)
        published(dra, false);
    scree_buffer_done(&body);
}

static void on_slice(void *context, int status, const char *body, size_t n)
{
    struct scree_dra *dra = context;
    struct scree_slice_found found = {0};
    struct scree_buffer devices = {.limit = (size_t)128 << 10};
    struct scree_error err;

    if (status != 404 && (status != 200 || scree_slice_read(body, n, &found, &err) < 0)) {
        SCREE_JOURNAL(WARNING, "ResourceSlice not read", {"status", NULL, status});
        published(dra, false);
        return;
    }
    scree_slice_devices(&dra->plugin->offer, &dra->facts, &devices);
    if (status == 200 && scree_slice_same(&devices, &found.devices))
        published(dra, true);
    else
        write_slice(dra, &devices, &found);
    scree_buffer_done(&devices);
    scree_buffer_done(&found.devices);
}

/* Without the node's uid the slice has no owner, and stays when the node is deleted. */
static void on_node(void *context, int status, const char *body, size_t n)
{
    struct scree_dra *dra = context;
    struct scree_error err;

    if (status != 200 || scree_slice_uid(body, n, dra->node_uid, &err) < 0)
        SCREE_JOURNAL(WARNING, "the node's uid is not known", {"status", NULL, status});
    else
        dra->knows_node = true;
    look_at_slice(dra);
}

static void look_at_slice(struct scree_dra *dra)
{
    struct scree_error err;
    char path[512];

    (void)snprintf(path, sizeof path, SLICES "/%s-%s", dra->facts.node, dra->facts.driver);
    if (scree_cluster_ask(dra->api, "GET", path, NULL, on_slice, dra, &err) < 0)
        published(dra, false);
}

static void on_publish(void *context)
{
    struct scree_dra *dra = context;
    struct scree_error err;
    char path[320];

    if (dra->asking) {
        dra->again = true;
        return;
    }
    if (!dra->registered)
        return;
    dra->asking = true;
    if (dra->knows_node) {
        look_at_slice(dra);
        return;
    }
    (void)snprintf(path, sizeof path, "/api/v1/nodes/%s", dra->facts.node);
    if (scree_cluster_ask(dra->api, "GET", path, NULL, on_node, dra, &err) < 0)
        published(dra, false);
}

/* ---- claims ---------------------------------------------------------------------------------- */

/* Names and namespaces go into paths: nothing but what they may be made of. */
static bool copy_name(const struct scree_pb_field *field, char *to, size_t n)
{
    if (field->wire != SCREE_PB_LEN || field->n == 0 || field->n >= n)
        return false;
    for (size_t i = 0; i < field->n; i++) {
        uint8_t c = field->bytes[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' &&
            (c != '.' || i == 0 || field->bytes[i - 1] == '.'))
            return false;
    }
    memcpy(to, field->bytes, field->n);
    to[field->n] = '\0';
    return true;
}

static int read_claim(const struct scree_pb_field *message, struct scree_dra_claim *claim,
                      struct scree_error *err)
{
    struct scree_pb_reader reader = {message->bytes, message->bytes + message->n};
    struct scree_pb_field field;
    bool good = true;
    int rc;

    *claim = (struct scree_dra_claim){0};
    while ((rc = scree_pb_next(&reader, &field)) > 0) {
        if (field.number == 1)
            good = copy_name(&field, claim->space, sizeof claim->space) && good;
        if (field.number == 2)
            good = copy_name(&field, claim->uid, sizeof claim->uid) && good;
        if (field.number == 3)
            good = copy_name(&field, claim->name, sizeof claim->name) && good;
    }
    if (rc < 0)
        return scree_fail(err, EBADMSG, "a claim is not a message of its kind");
    if (!good || !claim->space[0] || !claim->uid[0] || !claim->name[0])
        return scree_fail(err, EINVAL, "a claim has a name that cannot be one");
    return 0;
}

int scree_dra_read_claims(const uint8_t *request, size_t n, struct scree_dra_claim *claims,
                          struct scree_error *err)
{
    struct scree_pb_reader reader = {request, request + n};
    struct scree_pb_field field;
    int n_claims = 0, rc;

    while ((rc = scree_pb_next(&reader, &field)) > 0) {
        if (field.number != 1)
            continue;
        if (field.wire != SCREE_PB_LEN)
            return scree_fail(err, EBADMSG, "the request is not a message of its kind");
        if (n_claims == SCREE_DRA_CLAIMS)
            return scree_fail(err, E2BIG, "over %d claims at once", SCREE_DRA_CLAIMS);
        rc = read_claim(&field, &claims[n_claims++], err);
        if (rc < 0)
            return rc;
    }
    return rc < 0 ? scree_fail(err, EBADMSG, "the request is not a message of its kind") : n_claims;
}

/* One device of NodePrepareResourceResponse. */
static int add_device(const struct scree_dra *dra, const struct scree_allotted *allotted,
                      struct scree_buffer *reply, struct scree_error *err)
{
    const struct scree_offer *offer = &dra->plugin->offer;
    const struct scree_plugin_npu *npu;
    char cdi[128];
    uint32_t share;
    size_t mark;

    npu = scree_share_find(offer->npus, offer->n_shares, allotted->device, strlen(allotted->device),
                           &share);
    if (!npu)
        return scree_fail(err, EINVAL, "there is no device \"%s\"", allotted->device);
    if (!npu->health.healthy)
        return scree_fail(err, ENODEV, "%s: %s", allotted->device, npu->health.why.text);
    if (!offer->cdi_kind[0])
        return scree_fail(err, EIO, "there is no CDI specification");
    (void)snprintf(cdi, sizeof cdi, "%s=%s", offer->cdi_kind, npu->node.name);
    mark = scree_pb_begin(reply, 1);
    scree_pb_add_text(reply, 1, allotted->request);
    scree_pb_add_text(reply, 2, dra->facts.node);
    scree_pb_add_text(reply, 3, allotted->device);
    scree_pb_add_text(reply, 4, cdi);
    if (allotted->share_id[0])
        scree_pb_add_text(reply, 5, allotted->share_id);
    scree_pb_end(reply, mark);
    return 0;
}

/* The entry of a claim in the map of answers: its devices, or why there are none. */
static void add_answer(struct scree_dra *dra, const char *uid,
                       const struct scree_allotted *allotted, int n,
                       const struct scree_error *reason, struct scree_buffer *reply)
{
    struct scree_buffer devices = {.limit = SCREE_ANSWER_BYTES};
    struct scree_error err;
    size_t entry = scree_pb_begin(reply, 1), value;
    int rc = n < 0 ? n : 0;

    if (n < 0)
        err = *reason;
    for (int i = 0; rc == 0 && i < n; i++)
        rc = add_device(dra, &allotted[i], &devices, &err);
    scree_pb_add_text(reply, 1, uid);
    value = scree_pb_begin(reply, 2);
    if (rc == 0)
        scree_buffer_add(reply, devices.bytes, devices.n);
    else
        scree_pb_add_text(reply, 2, err.text);
    scree_pb_end(reply, value);
    scree_pb_end(reply, entry);
    scree_buffer_done(&devices);
    dra->n_prepared += rc == 0;
    dra->n_prepare_failed += rc < 0;
    if (rc < 0)
        SCREE_JOURNAL(WARNING, "claim not prepared", {"uid", uid}, {"reason", err.text});
    else
        SCREE_JOURNAL(INFO, "claim prepared", {"uid", uid}, {"devices", NULL, n});
}

static void next_claim(struct scree_dra_call *call);

static void free_call(struct scree_dra_call *call)
{
    free(call->claims);
    scree_buffer_done(&call->reply);
    *call = (struct scree_dra_call){.dra = call->dra};
}

static void on_claim(void *context, int status, const char *body, size_t n)
{
    struct scree_dra_call *call = context;
    struct scree_dra *dra = call->dra;
    const struct scree_dra_claim *claim = &call->claims[call->at];
    struct scree_allotted allotted[SCREE_ALLOTTED];
    struct scree_error err;
    int rc;

    if (status == 200)
        rc = scree_claim_read(body, n, &dra->facts, claim->uid, allotted, &err);
    else if (status < 0)
        rc = scree_fail(&err, EIO, "the API server cannot be asked: %.*s", (int)n, body);
    else
        rc = scree_fail(&err, EIO, "the API server says %d for the claim", status);
    add_answer(dra, claim->uid, allotted, rc, &err, &call->reply);
    call->at++;
    next_claim(call);
    scree_unix_server_flush(&dra->server);
}

/* Asks for the next claim, or answers the call. */
static void next_claim(struct scree_dra_call *call)
{
    struct scree_grpc_call *grpc_call = call->call;
    const struct scree_dra_claim *claim = &call->claims[call->at];
    struct scree_buffer reply;
    struct scree_error err;
    char path[512];

    if (call->at < call->n_claims) {
        (void)snprintf(path, sizeof path,
                       "/apis/resource.k8s.io/v1/namespaces/%s/resourceclaims/%s", claim->space,
                       claim->name);
        if (scree_cluster_ask(call->dra->api, "GET", path, NULL, on_claim, call, &err) == 0)
            return;
        free_call(call);
        reply = (struct scree_buffer){0};
        scree_unix_server_answer(grpc_call, -EIO, &reply, &err);
    } else {
        reply = call->reply;
        call->reply = (struct scree_buffer){0};
        free_call(call);
        scree_unix_server_answer(grpc_call, 0, &reply, NULL);
    }
}

static struct scree_dra_call *take_call(struct scree_dra *dra)
{
    for (int i = 0; i < SCREE_DRA_CALLS; i++)
        if (!dra->calls[i].call)
            return &dra->calls[i];
    return NULL;
}

static void prepare(void *context, struct scree_grpc_call *grpc_call, const uint8_t *request,
                    size_t n)
{
    struct scree_dra *dra = context;
    struct scree_dra_call *call = take_call(dra);
    struct scree_buffer none = {.limit = SCREE_ANSWER_BYTES};
    struct scree_dra_claim *claims = calloc(SCREE_DRA_CLAIMS, sizeof *claims);
    struct scree_error err;
    int rc;

    if (!call || !claims)
        rc = scree_fail(&err, ENOMEM, "too many calls at once");
    else
        rc = scree_dra_read_claims(request, n, claims, &err);
    if (rc <= 0) {
        free(claims);
        scree_unix_server_answer(grpc_call, rc, &none, &err);
        return;
    }
    *call = (struct scree_dra_call){.dra = dra,
                                    .call = grpc_call,
                                    .n_claims = (uint32_t)rc,
                                    .claims = claims,
                                    .reply.limit = SCREE_ANSWER_BYTES};
    next_claim(call);
}

static void unprepare(void *context, struct scree_grpc_call *grpc_call, const uint8_t *request,
                      size_t n)
{
    struct scree_dra_claim *claims = calloc(SCREE_DRA_CLAIMS, sizeof *claims);
    struct scree_buffer reply = {.limit = SCREE_ANSWER_BYTES};
    struct scree_error err;
    int rc = claims ? scree_dra_read_claims(request, n, claims, &err)
                    : scree_fail_memory(&err, SCREE_DRA_CLAIMS * sizeof *claims);

    (void)context;
    for (int i = 0; i < rc; i++) {
        size_t entry = scree_pb_begin(&reply, 1);

        scree_pb_add_text(&reply, 1, claims[i].uid);
        scree_pb_end(&reply, scree_pb_begin(&reply, 2));
        scree_pb_end(&reply, entry);
    }
    free(claims);
    scree_unix_server_answer(grpc_call, rc < 0 ? rc : 0, &reply, &err);
}

/* ---- health ---------------------------------------------------------------------------------- */

static void write_health(const struct scree_dra *dra, struct scree_buffer *buffer)
{
    const struct scree_offer *offer = &dra->plugin->offer;

    for (uint32_t i = 0; i < offer->npus->n; i++) {
        const struct scree_plugin_npu *npu = &offer->npus->v[i];

        for (uint32_t s = 0; s < offer->n_shares; s++) {
            size_t device = scree_pb_begin(buffer, 1), name = scree_pb_begin(buffer, 1);
            char id[SCREE_SHARE_ID];

            scree_share_id(npu, s, id);
            scree_pb_add_text(buffer, 1, dra->facts.node);
            scree_pb_add_text(buffer, 2, id);
            scree_pb_end(buffer, name);
            scree_pb_add_varint(buffer, 2, npu->health.healthy ? 1 : 2);
            scree_pb_add_varint(buffer, 3, (uint64_t)time(NULL));
            scree_pb_add_text(buffer, 5, npu->health.why.text);
            scree_pb_end(buffer, device);
        }
    }
}

static void send_health(struct scree_dra *dra)
{
    struct scree_buffer health = {.limit = SCREE_ANSWER_BYTES};

    dra->seconds = 0;
    write_health(dra, &health);
    scree_streams_send(&dra->streams, &health);
    scree_buffer_done(&health);
    scree_unix_server_flush(&dra->server);
}

static void watch_resources(void *context, struct scree_grpc_call *call, const uint8_t *request,
                            size_t n)
{
    struct scree_dra *dra = context;
    struct scree_buffer health = {.limit = SCREE_ANSWER_BYTES};

    (void)request, (void)n;
    write_health(dra, &health);
    scree_streams_add(&dra->streams, call, &health);
    scree_buffer_done(&health);
}

/* ---- registering ----------------------------------------------------------------------------- */

static void get_info(void *context, struct scree_grpc_call *call, const uint8_t *request, size_t n)
{
    static const char *const versions[] = {"v1.DRAPlugin", "v1.DRAResourceHealth",
                                           "v1alpha1.DRAResourceHealth", NULL};
    struct scree_dra *dra = context;
    struct scree_buffer reply = {.limit = SCREE_ANSWER_BYTES};

    (void)request, (void)n;
    scree_answer_info("DRAPlugin", dra->facts.driver, dra->server.path, versions, &reply);
    scree_unix_server_answer(call, 0, &reply, NULL);
}

static void notify(void *context, struct scree_grpc_call *call, const uint8_t *request, size_t n)
{
    struct scree_dra *dra = context;
    struct scree_buffer reply = {.limit = SCREE_ANSWER_BYTES};
    struct scree_error err;
    char text[256];
    int rc = scree_read_status(request, n, &dra->registered, text, sizeof text, &err);

    if (rc == 0 && dra->registered) {
        dra->n_registered++;
        dra->eager_ns = scree_now_ns() + EAGER_NS;
        /* A node that was deleted is another when its kubelet begins anew. */
        dra->knows_node = false;
        dra->publish.at_ns = 1;
        SCREE_JOURNAL(INFO, "registered", {"driver", dra->facts.driver});
    } else {
        SCREE_JOURNAL(WARNING, "not registered", {"reason", rc < 0 ? err.text : text});
    }
    scree_unix_server_answer(call, rc, &reply, &err);
}

static const struct scree_method methods[] = {
    {"/pluginregistration.Registration/GetInfo", get_info},
    {"/pluginregistration.Registration/NotifyRegistrationStatus", notify},
    {"/k8s.io.kubelet.pkg.apis.dra.v1.DRAPlugin/NodePrepareResources", prepare},
    {"/k8s.io.kubelet.pkg.apis.dra.v1.DRAPlugin/NodeUnprepareResources", unprepare},
    {"/v1.DRAResourceHealth/NodeWatchResources", watch_resources},
    {"/v1alpha1.DRAResourceHealth/NodeWatchResources", watch_resources},
};

static void closed(void *context, struct scree_grpc_call *call)
{
    struct scree_dra *dra = context;

    (void)scree_streams_remove(&dra->streams, call);
    for (int i = 0; i < SCREE_DRA_CALLS; i++)
        if (dra->calls[i].call == call) {
            scree_cluster_forget(dra->api, &dra->calls[i]);
            free_call(&dra->calls[i]);
        }
}

/* ---- the front ------------------------------------------------------------------------------- */

static void on_second(void *context)
{
    struct scree_dra *dra = context;

    dra->second.at_ns = scree_now_ns() + SECOND_NS;
    (void)scree_unix_server_check(&dra->server);
    if (++dra->seconds >= HEALTH_EVERY)
        send_health(dra);
}

static int look_at_machine(struct scree_dra *dra, struct scree_error *err)
{
    const struct scree_plugin_options *options = dra->plugin->options;
    struct scree_tree *tree;
    int rc = scree_tree_open(options->root, &tree, err);

    if (rc < 0)
        return rc;
    dra->facts =
        (struct scree_slice_facts){.driver = options->driver_name, .node = options->node_name};
    (void)snprintf(dra->facts.mesa, sizeof dra->facts.mesa, "%s", options->mesa_version);
    scree_slice_look(tree, &dra->facts);
    scree_tree_free(tree);
    return 0;
}

static int start(void *state, struct scree_plugin *plugin, struct scree_error *err)
{
    struct scree_dra *dra = state;
    const struct scree_plugin_options *options = plugin->options;
    const struct scree_cluster_place place = {options->api_server, options->api_name,
                                              options->credentials_dir};
    char name[80];
    int rc;

    dra->plugin = plugin;
    dra->service = (struct scree_service){.methods = methods,
                                          .n_methods = sizeof methods / sizeof methods[0],
                                          .closed = closed,
                                          .context = dra};
    rc = look_at_machine(dra, err);
    if (rc == 0)
        rc = scree_cluster_new(&plugin->loop, &place, &dra->api, err);
    if (rc < 0)
        return rc;
    (void)snprintf(name, sizeof name, "%s.sock", options->driver_name);
    rc = scree_unix_server_start(&dra->server, &plugin->loop, &dra->service, options->registry_dir,
                                 name, err);
    if (rc < 0 && rc != -ENOENT)
        return rc;
    dra->second = (struct scree_timer){.due = on_second, .context = dra};
    dra->publish = (struct scree_timer){.due = on_publish, .context = dra};
    scree_loop_add_timer(&plugin->loop, &dra->second);
    scree_loop_add_timer(&plugin->loop, &dra->publish);
    on_second(dra);
    return 0;
}

static void changed(void *state)
{
    struct scree_dra *dra = state;

    send_health(dra);
    on_publish(dra);
}

static bool is_ready(const void *state)
{
    return ((const struct scree_dra *)state)->registered;
}

static void metrics(void *state, struct scree_buffer *buffer)
{
    const struct scree_dra *dra = state;

    scree_plugin_metric_single(buffer, "npu_plugin_registered", "gauge",
                               "Whether the kubelet has accepted this plugin", dra->registered);
    scree_plugin_metric(buffer, "npu_plugin_slices_total", "counter",
                        "Times that the ResourceSlice was written");
    scree_plugin_metric_value(buffer, "npu_plugin_slices_total", "result=\"ok\"",
                              (double)dra->n_published);
    scree_plugin_metric_value(buffer, "npu_plugin_slices_total", "result=\"failed\"",
                              (double)dra->n_publish_failed);
    scree_plugin_metric(buffer, "npu_plugin_claims_total", "counter", "Claims prepared");
    scree_plugin_metric_value(buffer, "npu_plugin_claims_total", "result=\"ok\"",
                              (double)dra->n_prepared);
    scree_plugin_metric_value(buffer, "npu_plugin_claims_total", "result=\"failed\"",
                              (double)dra->n_prepare_failed);
}

static void done(void *state)
{
    struct scree_dra *dra = state;

    scree_unix_server_done(&dra->server);
    for (int i = 0; i < SCREE_DRA_CALLS; i++)
        free_call(&dra->calls[i]);
    scree_cluster_free(dra->api);
}

const struct scree_front scree_dra_front = {
    .start = start, .changed = changed, .metrics = metrics, .is_ready = is_ready, .done = done};
