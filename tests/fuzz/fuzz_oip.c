/* Any bytes as a request for tensors: after a byte "j" and two bytes of length in JSON with binary
 * data behind it, after "p" in protocol buffers, after "z" compressed. What was read lies in the
 * body or the request's arena. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "net/inflate.h"
#include "serve/oip.h"

static unsigned sum;

static void check(const struct scree_oip_request *request)
{
    if (request->n_inputs > SCREE_OIP_MAX_INPUTS || request->n_wanted > SCREE_OIP_MAX_OUTPUTS)
        abort();
    for (uint32_t i = 0; i < request->n_inputs; i++) {
        const struct scree_oip_tensor *tensor = &request->inputs[i];

        if (tensor->rank > SCREE_MAX_RANK)
            abort();
        /* All of it can be read. */
        for (size_t k = 0; k < tensor->n; k++)
            sum += tensor->bytes[k];
        sum += tensor->name ? (unsigned)strlen(tensor->name) : 0;
    }
    for (uint32_t i = 0; i < request->n_wanted; i++)
        sum += (unsigned)strlen(request->wanted[i].name);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    static struct scree_oip_request request;
    struct scree_buffer inflated = {.limit = 1 << 20};
    size_t n = n_bytes > 0 ? n_bytes - 1 : 0;
    uint8_t *body = malloc(n ? n : 1);
    int rc = -1;

    if (!body || n_bytes < 3) {
        free(body);
        return 0;
    }
    memcpy(body, bytes + 1, n);
    scree_oip_request_init(&request, n);
    if (bytes[0] == 'z')
        (void)scree_inflate(body, n, &inflated, NULL);
    else if (bytes[0] == 'p')
        rc = scree_oip_read_pb(&request, body, n, NULL);
    else
        rc = scree_oip_read_json(&request, body + 2, n - 2,
                                 bytes[1] == 0xff ? SIZE_MAX : bytes[1] | (size_t)bytes[2] << 8,
                                 NULL);
    if (rc >= 0)
        check(&request);
    scree_oip_request_done(&request);
    scree_buffer_done(&inflated);
    free(body);
    return 0;
}
