"""Messages of protocol buffers, as far as the kubelet's contracts need them: numbers, strings, messages."""


def varint(value):
    value &= (1 << 64) - 1
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number, value):
    """A field of a message: text, bytes or a number."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def read(message):
    """[(number, value)] of a message of varints and strings."""
    fields, at = [], 0

    def take():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        key = take()
        value = take()
        if key & 7 == 2:
            value, at = message[at:at + value], at + value
        fields.append((key >> 3, value))
    return fields


def pick(message, number):
    return [value for n, value in read(message) if n == number]
