/* Any bytes as a message of Protocol Buffers: fields lie in the message, also those inside, and
 * what was read can be written and read again. */
#include <stdlib.h>

#include "fuzz/fuzz.h"
#include "net/pb.h"

#define MAX_DEPTH 8

static void walk(const uint8_t *bytes, size_t n, int depth)
{
    struct scree_pb_reader reader = {bytes, bytes + n};
    struct scree_buffer copy = {.limit = 64};
    struct scree_pb_field field;

    while (scree_pb_next(&reader, &field) > 0) {
        struct scree_pb_values values = scree_pb_values(&field, SCREE_PB_VARINT);
        struct scree_pb_reader again;
        uint64_t value;

        if (field.number == 0 || (field.wire == SCREE_PB_LEN &&
                                  (field.bytes < bytes || field.bytes + field.n > bytes + n)))
            abort();
        while (scree_pb_next_value(&values, &value) > 0)
            ;
        if (field.wire == SCREE_PB_LEN && depth < MAX_DEPTH)
            walk(field.bytes, field.n, depth + 1);
        if (field.wire != SCREE_PB_VARINT)
            continue;
        copy.n = 0;
        scree_pb_add_varint(&copy, field.number, field.value);
        again = (struct scree_pb_reader){copy.bytes, copy.bytes + copy.n};
        value = field.value;
        if (scree_pb_next(&again, &field) != 1 || field.value != value || again.at != again.end)
            abort();
    }
    scree_buffer_done(&copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    walk(bytes, n_bytes, 0);
    return 0;
}
