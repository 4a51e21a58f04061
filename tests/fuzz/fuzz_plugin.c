/* Any bytes as what the kubelet, a scraper or the kernel's log says to the device plugin: the first
 * byte tells which. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "plugin/answers.h"
#include "plugin/http.h"
#include "plugin/kmsg.h"

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
    struct scree_pb_reader reader = {reply.bytes, reply.bytes + reply.n};
    struct scree_pb_field field;

    if (rc < 0 ? err.text[0] == '\0' : reply.failed)
        abort();
    while (rc == 0 && (rc = scree_pb_next(&reader, &field)) > 0)
        rc = 0;
    if (rc == -EBADMSG && err.text[0] == '\0')
        abort();
    scree_buffer_done(&reply);
}

static void check_http(const uint8_t *bytes, size_t n)
{
    char path[64];
    bool is_head;

    if (n <= SCREE_HTTP_REQUEST_BYTES &&
        scree_http_parse(bytes, n, path, sizeof path, &is_head) == 1 && path[0] != '/')
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    static answer_fn *const answers[] = {scree_answer_preferred, scree_answer_allocate,
                                         scree_answer_prestart};
    char text[64];
    bool registered;

    if (n_bytes == 0)
        return 0;
    switch (bytes[0] % 6) {
    case 3:
        (void)scree_read_status(bytes + 1, n_bytes - 1, &registered, text, sizeof text, NULL);
        break;
    case 4:
        check_http(bytes + 1, n_bytes - 1);
        break;
    case 5:
        (void)scree_kernel_event_of((const char *)bytes + 1, n_bytes - 1);
        break;
    default:
        check_answer(answers[bytes[0] % 6], bytes + 1, n_bytes - 1);
        break;
    }
    return 0;
}
