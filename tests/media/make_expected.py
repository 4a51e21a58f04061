#!/usr/bin/env python3
"""Makes the small pictures of tests/media/images and expected.inc beside this file.

expected.inc holds what Pillow makes of them, and what Pillow's resize() makes of pictures that
test_media.c draws by the same formula: sizes and CRC-32 of the pixels. Run by hand with Pillow 12
(from 13 on resize() rounds differently) and numpy; the results are committed.
"""
import io
import pathlib
import struct
import zlib

import numpy
import PIL
from PIL import Image, ImageOps

HERE = pathlib.Path(__file__).parent
IMAGES = HERE / "images"
pictures = {}


def hashed(n, seed):
    """n bytes of noise: draw() of test_media.c."""
    x = (numpy.arange(n, dtype=numpy.uint64) + seed).astype(numpy.uint32)
    x = x * numpy.uint32(2654435761)
    x ^= x >> numpy.uint32(15)
    x = x * numpy.uint32(2246822519)
    x ^= x >> numpy.uint32(13)
    return (x & numpy.uint32(255)).astype(numpy.uint8)


def noise(w, h, channels):
    shape = (h, w, channels) if channels > 1 else (h, w)
    return hashed(w * h * channels, w * 65536 + h).reshape(shape)


def smooth(w, h):
    y, x = numpy.mgrid[0:h, 0:w]
    return numpy.stack([x * 255 // w, y * 255 // h, (x * y * 7) % 256], 2).astype(numpy.uint8)


def crc(pixels):
    return zlib.crc32(numpy.ascontiguousarray(pixels).tobytes())


def add(name, data, pixels=None):
    """One picture; `pixels` are asked from Pillow if they are not given."""
    assert len(data) <= 2048, name
    (IMAGES / name).write_bytes(data)
    upright = pixels
    if pixels is None:
        image = Image.open(io.BytesIO(data))
        upright = numpy.array(ImageOps.exif_transpose(image).convert("RGB"))
        pixels = numpy.array(image.convert("RGB"))
    pictures[name] = (pixels.shape[1], pixels.shape[0], crc(pixels), crc(upright))


def add_damaged(name, data):
    (IMAGES / name).write_bytes(data)


def saved(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


# ---- JPEG


def exif(orientation):
    block = Image.Exif()
    block[0x112] = orientation
    return block


def make_jpeg():
    image = Image.fromarray(smooth(19, 13))
    add("gray.jpg", saved(image.convert("L"), "JPEG"))
    add("420.jpg", saved(image, "JPEG", quality=80))
    add("444.jpg", saved(image, "JPEG", quality=95, subsampling=0))
    add("rgb.jpg", saved(image, "JPEG", keep_rgb=True))
    add("progressive.jpg", saved(image, "JPEG", progressive=True))
    add("restart.jpg", saved(image, "JPEG", restart_marker_blocks=1))
    add("exif6.jpg", saved(image, "JPEG", exif=exif(6)))
    cmyk = saved(image.convert("CMYK"), "JPEG")
    add("cmyk.jpg", cmyk)
    adobe = cmyk.index(b"Adobe") + 11
    add("ycck.jpg", cmyk[:adobe] + b"\2" + cmyk[adobe + 1:])
    plain = saved(image, "JPEG")
    add("trailing.jpg", plain + b"behind the end")
    # A byte that does not belong between two segments: decoders step over it.
    add("extraneous.jpg", plain[:20] + b"\0" + plain[20:])


# ---- PNG


def chunk(kind, data=b"", check=None):
    body = kind + data
    return struct.pack(">I", len(data)) + body + \
        struct.pack(">I", zlib.crc32(body) if check is None else check)


def packed(samples, depth):
    """Rows of samples [h][n] as PNG rows with filter 0."""
    out = b""
    for row in samples:
        if depth == 16:
            data = row.astype(">u2").tobytes()
        else:
            bits = "".join(format(int(v), f"0{depth}b") for v in row)
            bits += "0" * (-len(bits) % 8)
            data = bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))
        out += b"\0" + data
    return out


ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
         (0, 1, 1, 2))


def png(w, h, depth, color, samples, interlaced=False, before=b"", after=b""):
    header = struct.pack(">IIBBBBB", w, h, depth, color, 0, 0, interlaced)
    if interlaced:
        parts = [samples[y::dy, x::dx] for x, y, dx, dy in ADAM7]
        rows = b"".join(packed(p.reshape(p.shape[0], -1), depth) for p in parts if p.size)
    else:
        rows = packed(samples.reshape(h, -1), depth)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + \
        chunk(b"IDAT", zlib.compress(rows)) + after + chunk(b"IEND")


def make_png():
    w, h = 7, 5
    kinds = {0: ("gray", 1, (1, 2, 4, 8, 16)), 2: ("rgb", 3, (8, 16)),
             3: ("palette", 1, (1, 2, 4, 8)), 4: ("graya", 2, (8, 16)), 6: ("rgba", 4, (8, 16))}
    for color, (name, channels, depths) in kinds.items():
        for depth in depths:
            samples = hashed(w * h * channels * 2, depth + color).view("<u2") & ((1 << depth) - 1)
            samples = samples.reshape(h, w, channels)
            before = b""
            expected = None
            if color == 3:
                before = chunk(b"PLTE", hashed(3 << depth, 9).tobytes())
            if depth == 16 and color in (0, 4):
                expected = numpy.repeat((samples[:, :, :1] >> 8).astype(numpy.uint8), 3, 2)
            add(f"{name}{depth}.png", png(w, h, depth, color, samples, before=before), expected)
    samples = noise(w, h, 3)
    add("interlaced.png", png(w, h, 8, 2, samples, interlaced=True))
    add("exif5.png", png(w, h, 8, 2, samples, after=chunk(b"eXIf", exif(5).tobytes()[6:])))
    add("transparent.png", png(w, h, 8, 2, samples, before=chunk(b"tRNS", bytes(6))))
    # What does not concern the picture may be damaged, or a bomb when unpacked.
    bomb = b"Comment\0\0" + zlib.compress(bytes(1 << 20))
    add("text.png", png(w, h, 8, 2, samples, before=chunk(b"zTXt", bomb) +
                        chunk(b"gAMA", b"\0") + chunk(b"tEXt", b"x", check=0)), samples)
    index = (noise(w, h, 1) % 5)
    colors = numpy.zeros((16, 3), numpy.uint8)
    colors[:3] = hashed(9, 1).reshape(3, 3)
    add("index.png", png(w, h, 4, 3, index, before=chunk(b"PLTE", colors[:3].tobytes())),
        colors[index])
    add_damaged("no_palette.png", png(w, h, 4, 3, index))
    add_damaged("critical.png", png(w, h, 8, 2, samples, before=chunk(b"ABCD", b"?")))
    add_damaged("few_rows.png", png(w, h, 8, 2, samples)[:33] +
                chunk(b"IDAT", zlib.compress(packed(samples[:2].reshape(2, -1), 8))) +
                chunk(b"IEND"))


# ---- WebP


def make_webp():
    image = Image.fromarray(smooth(19, 13))
    rgba = Image.fromarray(noise(6, 4, 4), "RGBA")
    add("lossy.webp", saved(image, "WEBP", quality=60))
    add("lossless.webp", saved(image.resize((8, 6)), "WEBP", lossless=True))
    add("alpha.webp", saved(rgba, "WEBP", lossless=True, exact=True))
    add("exif8.webp", saved(image, "WEBP", quality=30, exif=exif(8)))
    frames = [Image.fromarray(smooth(4, 4)), Image.fromarray(noise(4, 4, 3))]
    add_damaged("animated.webp", saved(frames[0], "WEBP", save_all=True, append_images=frames[1:]))


# ---- BMP


def bmp(w, h, depth, rows, compression=0, masks=b"", palette=b"", n_colors=0):
    offset = 54 + len(masks) + len(palette)
    return b"BM" + struct.pack("<IHHI", offset + len(rows), 0, 0, offset) + \
        struct.pack("<IiiHHIIiiII", 40, w, h, 1, depth, compression, len(rows), 0, 0, n_colors, 0) \
        + masks + palette + rows


def make_bmp():
    w, h = 9, 5
    for depth in (1, 4, 8, 16, 24, 32):
        stride = (w * depth + 31) // 32 * 4
        rows = hashed(stride * h, depth).tobytes()
        palette = hashed(4 << depth, 3).tobytes() if depth <= 8 else b""
        add(f"{depth}bit.bmp", bmp(w, h, depth, rows, palette=palette))
    rows = hashed(20 * h, 1).tobytes()
    add("565.bmp", bmp(w, h, 16, rows, 3, struct.pack("<3I", 0xf800, 0x7e0, 0x1f)))
    rows = hashed(36 * h, 1).tobytes()
    add("masks32.bmp", bmp(w, h, 32, rows, 3, struct.pack("<3I", 0xff000000, 0xff0000, 0xff00)))
    rows = hashed(28 * h, 1).tobytes()
    add("top_down.bmp", bmp(w, -h, 24, rows))
    add("core.bmp", b"BM" + struct.pack("<IHHIIHHHH", 26 + len(rows), 0, 0, 26, 12, w, h, 1, 24) +
        rows)
    index = noise(8, 4, 1) % 5
    colors = numpy.zeros((16, 3), numpy.uint8)
    colors[:3] = hashed(9, 1).reshape(3, 3)
    palette = b"".join(bytes(c[::-1]) + b"\0" for c in colors[:3])
    rows = packed(index[::-1], 4)
    rows = b"".join(rows[i + 1:i + 5] for i in range(0, len(rows), 5))
    add("index.bmp", bmp(8, 4, 4, rows, palette=palette, n_colors=3), colors[index])
    add_damaged("rle8.bmp", bmp(4, 1, 8, b"\4\1\0\1", 1, palette=bytes(1024)))


# ---- PPM and PGM


def make_pnm():
    add("plain.ppm", b"P3 # plain\n2 2\n7\n" + b" ".join(b"%d" % (i % 8) for i in range(12)))
    add("raw.pgm", b"P5\n5 3\n200\n" + (hashed(15, 2) % 201).tobytes())
    add("raw16.ppm", b"P6\n3 2\n65535\n" + hashed(36, 4).tobytes())


# ---- resizes

SIZES = (
    (1, 1, 1, 1), (1, 1, 5, 7), (5, 7, 1, 1), (1, 9, 4, 3), (9, 1, 3, 4), (2, 2, 3, 3),
    (3, 3, 2, 2), (4, 4, 4, 9), (4, 4, 9, 4), (10, 10, 5, 5), (10, 10, 20, 20), (7, 11, 13, 5),
    (13, 5, 7, 11), (16, 16, 15, 17), (31, 17, 30, 18), (64, 48, 32, 32), (33, 65, 100, 10),
    (100, 75, 33, 97), (127, 127, 128, 128), (128, 128, 127, 127), (200, 3, 17, 2),
    (3, 200, 2, 17), (160, 120, 96, 96), (96, 96, 224, 224), (321, 241, 64, 64), (250, 1, 1, 1),
    (1, 250, 1, 1), (640, 2, 3, 2), (2, 3, 640, 2), (150, 100, 75, 51),
)


def resizes():
    for w, h, to_w, to_h in SIZES:
        image = Image.fromarray(noise(w, h, 3))
        yield w, h, to_w, to_h, crc(numpy.array(image.resize((to_w, to_h), Image.BILINEAR)))


def main():
    assert int(PIL.__version__.split(".")[0]) < 13, "Pillow 13 resizes differently"
    IMAGES.mkdir(exist_ok=True)
    for make in (make_jpeg, make_png, make_webp, make_bmp, make_pnm):
        make()
    with open(HERE / "expected.inc", "w", encoding="ascii") as out:
        out.write(f"/* Made by make_expected.py with Pillow {PIL.__version__}; do not edit. */\n")
        out.write("\n/* file, width, height, CRC-32 of its pixels, the same turned upright */\n")
        for name, (w, h, stored, upright) in sorted(pictures.items()):
            out.write(f'PICTURE("{name}", {w}, {h}, 0x{stored:08x}, 0x{upright:08x})\n')
        out.write("\n/* width, height, new width and height, CRC-32 of RGB resized with BILINEAR */\n")
        for row in resizes():
            out.write("RESIZE(%d, %d, %d, %d, 0x%08x)\n" % row)


if __name__ == "__main__":
    main()
