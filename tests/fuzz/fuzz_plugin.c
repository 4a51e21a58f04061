/* Any bytes as what the kubelet, a scraper, the kernel's log or the API server says to the device
 * plugin: the first byte tells which. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "plugin/answers.h"
#include "plugin/kmsg.h"
#include "plugin/pages.h"
#ifdef SCREE_WITH_DRA
#include "plugin/dra.h"
#endif

static const struct scree_npus npus = {
    .n = 2,
    .v = {{.node = {.name = "accel0", .path = "/dev/accel/accel0"}, .health.healthy = true},
          {.node = {.name = "accel1", .path = "/dev/accel/accel1"}, .health.healthy = true}}};

static const struct scree_offer offer = {.npus = &npus,
                                         .resource = "npu.rockchip.com/rk3588",
                                         .n_shares = 3,
                                         .cdi_kind = "npu.rockchip.com/rk3588"};

typedef int answer_fn(const struct scree_offer *offer, const uint8_t *request, size_t n,
                      struct scree_buffer *reply, struct scree_error *err);

/* An answer is a message, or there is a text that says why not. */
static void check_answer(answer_fn *answer, const uint8_t *bytes, size_t n)
{
    struct scree_buffer reply = {.limit = 4096};
    struct scree_error err = {""};
    int rc = answer(&offer, bytes, n, &reply, &err);

    if (rc < 0 ? err.text[0] == '\0' : reply.failed)
        abort();
    if (rc == 0 && reply.n > 0) {
        struct scree_pb_reader reader = {reply.bytes, reply.bytes + reply.n};
        struct scree_pb_field field;

        while ((rc = scree_pb_next(&reader, &field)) > 0)
            continue;
        if (rc < 0)
            abort();
    }
    scree_buffer_done(&reply);
}

static void check_http(const uint8_t *bytes, size_t n)
{
    char path[64];
    bool is_head;

    if (n <= SCREE_PAGES_REQUEST_BYTES &&
        scree_pages_parse(bytes, n, path, sizeof path, &is_head) == 1 && path[0] != '/')
        abort();
}

#ifdef SCREE_WITH_DRA
/* Claims that the kubelet names. */
static void check_claims(const uint8_t *bytes, size_t n)
{
    static struct scree_dra_claim claims[SCREE_DRA_CLAIMS];
    int rc = scree_dra_read_claims(bytes, n, claims, NULL);

    for (int i = 0; i < rc; i++)
        if (strchr(claims[i].name, '/') || strstr(claims[i].space, ".."))
            abort();
}

/* The API server's answer: its frame, and what is in it. */
static void check_api(const uint8_t *bytes, size_t n)
{
    const struct scree_slice_facts facts = {.driver = "npu.rockchip.com", .node = "board-1"};
    struct scree_allotted allotted[SCREE_ALLOTTED];
    struct scree_slice_found found;
    uint8_t *copy = malloc(n ? n : 1);
    char uid[64];

    if (!copy)
        return;
    memcpy(copy, bytes, n);
    if (scree_cluster_parse(copy, &n) > 0) {
        if (scree_slice_read((const char *)copy, n, &found, NULL) == 0)
            scree_buffer_done(&found.devices);
        (void)scree_slice_uid((const char *)copy, n, uid, NULL);
        (void)scree_claim_read((const char *)copy, n, &facts, "uid-1", allotted, NULL);
    }
    free(copy);
}
#endif

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    static answer_fn *const answers[] = {scree_answer_preferred, scree_answer_allocate,
                                         scree_answer_prestart};
    char text[64];
    bool registered;

    if (n_bytes == 0)
        return 0;
    switch (bytes[0] % 8) {
    case 3:
        (void)scree_read_status(bytes + 1, n_bytes - 1, &registered, text, sizeof text, NULL);
        break;
    case 4:
        check_http(bytes + 1, n_bytes - 1);
        break;
    case 5:
        (void)scree_kernel_event_of((const char *)bytes + 1, n_bytes - 1);
        break;
#ifdef SCREE_WITH_DRA
    case 6:
        check_claims(bytes + 1, n_bytes - 1);
        break;
    case 7:
        check_api(bytes + 1, n_bytes - 1);
        break;
#else
    case 6:
    case 7:
        break;
#endif
    default:
        check_answer(answers[bytes[0] % 8], bytes + 1, n_bytes - 1);
        break;
    }
    return 0;
}
