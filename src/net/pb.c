#include "net/pb.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define MAX_FIELD_NUMBER    0x1fffffffu
#define MAX_VARINT_BYTES    10
#define LAST_BYTE_OF_VARINT 1 /* the tenth byte has one bit of 64 left */

/* ---- reading ---- */

static bool read_varint(struct scree_pb_reader *reader, uint64_t *ret_value)
{
    uint64_t value = 0;

    for (int i = 0; i < MAX_VARINT_BYTES && reader->at < reader->end; i++) {
        uint8_t byte = *reader->at++;

        if (i == MAX_VARINT_BYTES - 1 && byte > LAST_BYTE_OF_VARINT)
            return false;
        value |= (uint64_t)(byte & 0x7f) << 7 * i;
        if (byte < 0x80) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

/* n <= 8 bytes, the lowest first. */
static bool read_fixed(struct scree_pb_reader *reader, size_t n, uint64_t *ret_value)
{
    uint64_t value = 0;

    if ((size_t)(reader->end - reader->at) < n)
        return false;
    for (size_t i = 0; i < n; i++)
        value |= (uint64_t)reader->at[i] << 8 * i;
    reader->at += n;
    *ret_value = value;
    return true;
}

static bool read_number(struct scree_pb_reader *reader, enum scree_pb_wire wire,
                        uint64_t *ret_value)
{
    switch (wire) {
    case SCREE_PB_VARINT:
        return read_varint(reader, ret_value);
    case SCREE_PB_I64:
        return read_fixed(reader, 8, ret_value);
    case SCREE_PB_I32:
        return read_fixed(reader, 4, ret_value);
    case SCREE_PB_LEN:
        break;
    }
    return false;
}

int scree_pb_next(struct scree_pb_reader *reader, struct scree_pb_field *ret_field)
{
    uint64_t tag, length;

    if (reader->at == reader->end)
        return 0;
    if (!read_varint(reader, &tag) || tag >> 3 == 0 || tag >> 3 > MAX_FIELD_NUMBER)
        return -EBADMSG;
    *ret_field = (struct scree_pb_field){.number = (uint32_t)(tag >> 3), .wire = tag & 7};
    if (ret_field->wire != SCREE_PB_LEN)
        return read_number(reader, ret_field->wire, &ret_field->value) ? 1 : -EBADMSG;
    if (!read_varint(reader, &length) || length > (size_t)(reader->end - reader->at))
        return -EBADMSG;
    ret_field->bytes = reader->at;
    ret_field->n = (size_t)length;
    reader->at += length;
    return 1;
}

struct scree_pb_values scree_pb_values(const struct scree_pb_field *field, enum scree_pb_wire wire)
{
    assert(wire != SCREE_PB_LEN);
    if (field->wire == SCREE_PB_LEN)
        return (struct scree_pb_values){.reader = {field->bytes, field->bytes + field->n},
                                        .wire = wire};
    return (struct scree_pb_values){
        .value = field->value, .single = true, .bad = field->wire != wire, .wire = wire};
}

int scree_pb_next_value(struct scree_pb_values *values, uint64_t *ret_value)
{
    if (values->bad)
        return -EBADMSG;
    if (values->single) {
        values->single = false;
        *ret_value = values->value;
        return 1;
    }
    if (values->reader.at == values->reader.end)
        return 0;
    return read_number(&values->reader, values->wire, ret_value) ? 1 : -EBADMSG;
}

/* ---- writing ---- */

void scree_pb_put_varint(struct scree_buffer *buffer, uint64_t value)
{
    uint8_t bytes[MAX_VARINT_BYTES];
    size_t n = 0;

    do {
        bytes[n] = (uint8_t)(value & 0x7f);
        value >>= 7;
        bytes[n++] |= value ? 0x80 : 0;
    } while (value);
    scree_buffer_add(buffer, bytes, n);
}

static void add_tag(struct scree_buffer *buffer, uint32_t number, enum scree_pb_wire wire)
{
    assert(number >= 1 && number <= MAX_FIELD_NUMBER);
    scree_pb_put_varint(buffer, (uint64_t)number << 3 | wire);
}

static void add_fixed(struct scree_buffer *buffer, uint64_t bits, size_t n)
{
    uint8_t bytes[8];

    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(bits >> 8 * i);
    scree_buffer_add(buffer, bytes, n);
}

void scree_pb_add_varint(struct scree_buffer *buffer, uint32_t number, uint64_t value)
{
    add_tag(buffer, number, SCREE_PB_VARINT);
    scree_pb_put_varint(buffer, value);
}

void scree_pb_add_i64(struct scree_buffer *buffer, uint32_t number, uint64_t bits)
{
    add_tag(buffer, number, SCREE_PB_I64);
    add_fixed(buffer, bits, 8);
}

void scree_pb_add_i32(struct scree_buffer *buffer, uint32_t number, uint32_t bits)
{
    add_tag(buffer, number, SCREE_PB_I32);
    add_fixed(buffer, bits, 4);
}

void scree_pb_add_bytes(struct scree_buffer *buffer, uint32_t number, const void *bytes, size_t n)
{
    add_tag(buffer, number, SCREE_PB_LEN);
    scree_pb_put_varint(buffer, n);
    scree_buffer_add(buffer, bytes, n);
}

void scree_pb_add_text(struct scree_buffer *buffer, uint32_t number, const char *text)
{
    scree_pb_add_bytes(buffer, number, text, strlen(text));
}

size_t scree_pb_begin(struct scree_buffer *buffer, uint32_t number)
{
    add_tag(buffer, number, SCREE_PB_LEN);
    return buffer->n;
}

void scree_pb_end(struct scree_buffer *buffer, size_t mark)
{
    uint8_t prefix[MAX_VARINT_BYTES];
    size_t length, n_prefix;

    if (buffer->failed)
        return;
    length = buffer->n - mark;
    scree_pb_put_varint(buffer, length);
    if (buffer->failed)
        return;
    /* The length was written behind the message: it moves before it. */
    n_prefix = buffer->n - mark - length;
    memcpy(prefix, buffer->bytes + mark + length, n_prefix);
    memmove(buffer->bytes + mark + n_prefix, buffer->bytes + mark, length);
    memcpy(buffer->bytes + mark, prefix, n_prefix);
}
