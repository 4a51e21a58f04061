#include "plugin/answers.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define NOT_A_MESSAGE "the request is not a message of its kind"

static int check_reply(const struct scree_buffer *reply, struct scree_error *err)
{
    return reply->failed ? scree_fail(err, E2BIG, "the answer would be too long") : 0;
}

/* ---- what is there --------------------------------------------------------------------------- */

void scree_answer_options(struct scree_buffer *reply)
{
    scree_pb_add_varint(reply, 2, 1); /* get_preferred_allocation_available */
}

void scree_answer_list(const struct scree_offer *offer, struct scree_buffer *reply)
{
    char id[SCREE_SHARE_ID];

    for (uint32_t i = 0; i < offer->npus->n; i++) {
        const struct scree_plugin_npu *npu = &offer->npus->v[i];

        for (uint32_t s = 0; s < offer->n_shares; s++) {
            size_t mark = scree_pb_begin(reply, 1);

            scree_share_id(npu, s, id);
            scree_pb_add_text(reply, 1, id);
            scree_pb_add_text(reply, 2, npu->health.healthy ? "Healthy" : "Unhealthy");
            scree_pb_end(reply, mark);
        }
    }
}

/* ---- sets of ids ----------------------------------------------------------------------------- */

/* Adds the share of an id to the set. */
static int add_id(const struct scree_offer *offer, const struct scree_pb_field *field,
                  struct scree_share_set *set, struct scree_error *err)
{
    const char *id = (const char *)field->bytes;
    const struct scree_plugin_npu *npu;
    uint32_t share;

    if (field->wire != SCREE_PB_LEN)
        return scree_fail(err, EBADMSG, NOT_A_MESSAGE);
    npu = scree_share_find(offer->npus, offer->n_shares, id, field->n, &share);
    if (!npu) {
        char text[SCREE_SHARE_ID] = "";

        memcpy(text, id, field->n < sizeof text - 1 ? field->n : sizeof text - 1);
        scree_text_make_safe(text, strlen(text));
        return scree_fail(err, EINVAL, "there is no device \"%s\"", text);
    }
    set->v[npu - offer->npus->v] |= UINT64_C(1) << share;
    return 0;
}

static void write_ids(const struct scree_offer *offer, const struct scree_share_set *set,
                      struct scree_buffer *reply)
{
    char id[SCREE_SHARE_ID];

    for (uint32_t i = 0; i < offer->npus->n; i++)
        for (uint32_t s = 0; s < offer->n_shares; s++)
            if (set->v[i] >> s & 1) {
                scree_share_id(&offer->npus->v[i], s, id);
                scree_pb_add_text(reply, 1, id);
            }
}

/* The ids in field 1 of a message. */
static int read_ids(const struct scree_offer *offer, const struct scree_pb_field *message,
                    struct scree_share_set *ret_set, struct scree_error *err)
{
    struct scree_pb_reader reader = {message->bytes, message->bytes + message->n};
    struct scree_pb_field field;
    int rc;

    *ret_set = (struct scree_share_set){0};
    while ((rc = scree_pb_next(&reader, &field)) > 0) {
        if (field.number == 1)
            rc = add_id(offer, &field, ret_set, err);
        if (rc < 0)
            return rc;
    }
    return rc < 0 ? scree_fail(err, EBADMSG, NOT_A_MESSAGE) : 0;
}

static int check_health(const struct scree_offer *offer, const struct scree_share_set *set,
                        struct scree_error *err)
{
    for (uint32_t i = 0; i < offer->npus->n; i++)
        if (set->v[i] && !offer->npus->v[i].health.healthy)
            return scree_fail(err, ENODEV, "%s: %s", offer->npus->v[i].node.name,
                              offer->npus->v[i].health.why.text);
    return 0;
}

/* ---- requests for several containers --------------------------------------------------------- */

typedef int answer_fn(const struct scree_offer *offer, const struct scree_pb_field *message,
                      struct scree_buffer *reply, struct scree_error *err);

/* Answers each message in field 1 of the request by one in field 1 of the reply. */
static int answer_each(const struct scree_offer *offer, const uint8_t *request, size_t n,
                       answer_fn *answer, struct scree_buffer *reply, struct scree_error *err)
{
    struct scree_pb_reader reader = {request, request + n};
    struct scree_pb_field field;
    int rc;

    while ((rc = scree_pb_next(&reader, &field)) > 0) {
        size_t mark;

        if (field.number != 1)
            continue;
        if (field.wire != SCREE_PB_LEN)
            return scree_fail(err, EBADMSG, NOT_A_MESSAGE);
        mark = scree_pb_begin(reply, 1);
        rc = answer(offer, &field, reply, err);
        if (rc < 0)
            return rc;
        scree_pb_end(reply, mark);
        if (reply->failed)
            break;
    }
    return rc < 0 ? scree_fail(err, EBADMSG, NOT_A_MESSAGE) : check_reply(reply, err);
}

static int prefer(const struct scree_offer *offer, const struct scree_pb_field *message,
                  struct scree_buffer *reply, struct scree_error *err)
{
    struct scree_pb_reader reader = {message->bytes, message->bytes + message->n};
    struct scree_share_set available = {0}, needed = {0}, preferred;
    struct scree_pb_field field;
    uint64_t size = 0;
    int rc;

    while ((rc = scree_pb_next(&reader, &field)) > 0) {
        if (field.number == 1)
            rc = add_id(offer, &field, &available, err);
        else if (field.number == 2)
            rc = add_id(offer, &field, &needed, err);
        else if (field.number == 3 && field.wire == SCREE_PB_VARINT)
            size = field.value;
        if (rc < 0)
            return rc;
    }
    if (rc < 0)
        return scree_fail(err, EBADMSG, NOT_A_MESSAGE);
    if (size > SCREE_NPU_MAX_NODES * 64 || size > scree_share_count(&available))
        return scree_fail(err, EINVAL, "more devices are asked for than are available");
    scree_share_prefer(offer->npus, &available, &needed, (uint32_t)size, &preferred);
    write_ids(offer, &preferred, reply);
    return 0;
}

int scree_answer_preferred(const struct scree_offer *offer, const uint8_t *request, size_t n,
                           struct scree_buffer *reply, struct scree_error *err)
{
    return answer_each(offer, request, n, prefer, reply, err);
}

/* ---- allocation ------------------------------------------------------------------------------ */

static void add_variable(struct scree_buffer *reply, const char *name, const char *value)
{
    size_t mark = scree_pb_begin(reply, 1);

    scree_pb_add_text(reply, 1, name);
    scree_pb_add_text(reply, 2, value);
    scree_pb_end(reply, mark);
}

/* How many instances of a model use what the container has, and which NPUs that is. */
static void add_variables(const struct scree_offer *offer, const struct scree_share_set *set,
                          struct scree_buffer *reply)
{
    char names[SCREE_NPU_MAX_NODES * 34] = "", number[16];
    uint32_t n = 0;

    for (uint32_t i = 0; i < offer->npus->n; i++) {
        const struct scree_plugin_npu *npu = &offer->npus->v[i];
        size_t used = strlen(names);

        if (!set->v[i])
            continue;
        n += offer->exclusive ? npu->n_cores : (uint32_t)__builtin_popcountll(set->v[i]);
        (void)snprintf(names + used, sizeof names - used, "%s%s", used ? "," : "", npu->node.name);
    }
    (void)snprintf(number, sizeof number, "%u", n);
    add_variable(reply, "SCREE_INSTANCES", number);
    add_variable(reply, "SCREE_NPUS", names);
}

static void add_device(const struct scree_plugin_npu *npu, struct scree_buffer *reply)
{
    size_t mark = scree_pb_begin(reply, 3);

    scree_pb_add_text(reply, 1, npu->node.path);
    scree_pb_add_text(reply, 2, npu->node.path);
    scree_pb_add_text(reply, 3, "rw");
    scree_pb_end(reply, mark);
}

static void add_cdi(const struct scree_offer *offer, const struct scree_plugin_npu *npu,
                    struct scree_buffer *reply)
{
    char name[128];
    size_t mark;

    if (!offer->cdi_kind[0])
        return;
    (void)snprintf(name, sizeof name, "%s=%s", offer->cdi_kind, npu->node.name);
    mark = scree_pb_begin(reply, 5);
    scree_pb_add_text(reply, 1, name);
    scree_pb_end(reply, mark);
}

/* Nodes and CDI names together: a runtime that knows CDI follows that, another the nodes. */
static int allocate(const struct scree_offer *offer, const struct scree_pb_field *message,
                    struct scree_buffer *reply, struct scree_error *err)
{
    struct scree_share_set set;
    int rc = read_ids(offer, message, &set, err);

    if (rc == 0)
        rc = check_health(offer, &set, err);
    if (rc < 0)
        return rc;
    if (scree_share_count(&set) == 0)
        return scree_fail(err, EINVAL, "no device is asked for");
    add_variables(offer, &set, reply);
    for (uint32_t i = 0; i < offer->npus->n; i++)
        if (set.v[i])
            add_device(&offer->npus->v[i], reply);
    for (uint32_t i = 0; i < offer->npus->n; i++)
        if (set.v[i])
            add_cdi(offer, &offer->npus->v[i], reply);
    return 0;
}

int scree_answer_allocate(const struct scree_offer *offer, const uint8_t *request, size_t n,
                          struct scree_buffer *reply, struct scree_error *err)
{
    return answer_each(offer, request, n, allocate, reply, err);
}

int scree_answer_prestart(const struct scree_offer *offer, const uint8_t *request, size_t n,
                          struct scree_buffer *reply, struct scree_error *err)
{
    const struct scree_pb_field message = {.bytes = request, .n = n};
    struct scree_share_set set;
    int rc = read_ids(offer, &message, &set, err);

    if (rc == 0)
        rc = check_health(offer, &set, err);
    return rc < 0 ? rc : check_reply(reply, err);
}

/* ---- registering ----------------------------------------------------------------------------- */

void scree_ask_register(const struct scree_offer *offer, const char *endpoint,
                        struct scree_buffer *request)
{
    size_t mark;

    scree_pb_add_text(request, 1, "v1beta1");
    scree_pb_add_text(request, 2, endpoint);
    scree_pb_add_text(request, 3, offer->resource);
    mark = scree_pb_begin(request, 4);
    scree_answer_options(request);
    scree_pb_end(request, mark);
}

void scree_answer_info(const char *type, const char *name, const char *endpoint,
                       const char *const *versions, struct scree_buffer *reply)
{
    scree_pb_add_text(reply, 1, type);
    scree_pb_add_text(reply, 2, name);
    scree_pb_add_text(reply, 3, endpoint);
    for (; *versions; versions++)
        scree_pb_add_text(reply, 4, *versions);
}

int scree_read_status(const uint8_t *request, size_t n, bool *ret_registered, char *text,
                      size_t n_text, struct scree_error *err)
{
    struct scree_pb_reader reader = {request, request + n};
    struct scree_pb_field field;
    int rc;

    *ret_registered = false;
    text[0] = '\0';
    while ((rc = scree_pb_next(&reader, &field)) > 0) {
        if (field.number == 1 && field.wire == SCREE_PB_VARINT)
            *ret_registered = field.value != 0;
        if (field.number == 2 && field.wire == SCREE_PB_LEN) {
            size_t length = field.n < n_text ? field.n : n_text - 1;

            memcpy(text, field.bytes, length);
            text[length] = '\0';
            scree_text_make_safe(text, strlen(text));
        }
    }
    return rc < 0 ? scree_fail(err, EBADMSG, NOT_A_MESSAGE) : 0;
}
