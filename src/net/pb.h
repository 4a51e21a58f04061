/* net/pb.h - Protocol Buffers on the wire: fields one after the other, without a schema compiler.
 *
 * Reading: a reader walks the fields of one message; what a field means is the caller's business,
 * and unknown fields are skipped by not looking at them.
 *
 *     struct scree_pb_reader reader = {bytes, bytes + n};
 *     struct scree_pb_field field;
 *     int rc;
 *
 *     while ((rc = scree_pb_next(&reader, &field)) > 0)
 *         if (field.number == 1 && field.wire == SCREE_PB_LEN)
 *             name = field.bytes, n_name = field.n;
 *
 * Writing: fields are added to a buffer; an embedded message is what is added between
 * scree_pb_begin() and scree_pb_end().
 *
 * Memory: fields point into the message; written bytes belong to the buffer. Threads: no shared
 * state. Source: protobuf.dev, "Encoding". */
#ifndef SCREE_NET_PB_H
#define SCREE_NET_PB_H

#include "net/buffer.h"

enum scree_pb_wire {
    SCREE_PB_VARINT = 0, /* int32, int64, uint32, uint64, bool, enum */
    SCREE_PB_I64 = 1,    /* double, fixed64 */
    SCREE_PB_LEN = 2,    /* string, bytes, message, packed repeated */
    SCREE_PB_I32 = 5,    /* float, fixed32 */
};

/* What is left to be read: u8[at, end). */
struct scree_pb_reader {
    const uint8_t *at, *end;
};

struct scree_pb_field {
    uint32_t number; /* 1 to 2^29 - 1 */
    enum scree_pb_wire wire;
    uint64_t value;       /* of VARINT, I64 and I32: the bits, low first */
    const uint8_t *bytes; /* of LEN: u8[n] */
    size_t n;
};

/* Reads the next field. Returns 1, 0 at the end, or -EBADMSG: cut off, a varint of over 64 bits, a
 * field number out of range, or a group (which proto3 does not have). */
int scree_pb_next(struct scree_pb_reader *reader, struct scree_pb_field *ret_field);

/* The values of a repeated numeric field, which comes packed or one by one:
 *
 *     struct scree_pb_values values = scree_pb_values(&field, SCREE_PB_VARINT);
 *
 *     while ((rc = scree_pb_next_value(&values, &value)) > 0) ...
 */
struct scree_pb_values {
    struct scree_pb_reader reader; /* of a packed field */
    uint64_t value;                /* of one by itself */
    bool single, bad;
    enum scree_pb_wire wire;
};

/* Iterates over the values of `field`, whose elements have the wire type `wire` (not LEN). */
struct scree_pb_values scree_pb_values(const struct scree_pb_field *field, enum scree_pb_wire wire);

/* Returns 1, 0 at the end, or -EBADMSG (cut off, too long, or a field of another wire type). */
int scree_pb_next_value(struct scree_pb_values *values, uint64_t *ret_value);

/* Adds a field. All of these write it whatever its value; proto3 leaves out zeros, so do that at
 * the call where size matters. text is terminated. number in [1, 2^29). */
void scree_pb_add_varint(struct scree_buffer *buffer, uint32_t number, uint64_t value);
void scree_pb_add_i64(struct scree_buffer *buffer, uint32_t number, uint64_t bits);
void scree_pb_add_i32(struct scree_buffer *buffer, uint32_t number, uint32_t bits);
void scree_pb_add_bytes(struct scree_buffer *buffer, uint32_t number, const void *bytes, size_t n);
void scree_pb_add_text(struct scree_buffer *buffer, uint32_t number, const char *text);

/* Adds a number without a field around it: an element of a packed field, between scree_pb_begin()
 * and scree_pb_end(). */
void scree_pb_put_varint(struct scree_buffer *buffer, uint64_t value);

/* Begins an embedded message in field `number`; give the mark to scree_pb_end(). Messages nest. */
size_t scree_pb_begin(struct scree_buffer *buffer, uint32_t number);

/* Ends the message that began at `mark`: puts its length before it. */
void scree_pb_end(struct scree_buffer *buffer, size_t mark);

#endif
