"""Draws labelled pictures: ten kinds of things on cluttered backgrounds.

Every picture is a function of (seed, index) alone, so a set can be drawn again, in
any order and on any number of processes, and comes out the same.
"""

from dataclasses import dataclass
from multiprocessing import Pool

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

LABELS = ("arrow", "circle", "crescent", "cross", "fish",
          "heart", "house", "square", "star", "triangle")

SUPERSAMPLING = 3       # Things are drawn this many times larger, then averaged.
MIN_CONTRAST = 90       # Euclidean RGB distance of a thing from its background.
MAX_TURN = 35           # Degrees to either side; arrows point anywhere.
MAX_OVERLAP = 0.12      # Of two boxes, as a part of the smaller one.
PLACING_ATTEMPTS = 60   # Random places tried before a thing is left out.


@dataclass
class Style:
    """What varies between a classifier's and a detector's pictures."""

    things: tuple           # fewest and most things on a picture
    size: tuple             # smallest and largest thing, as a part of the shorter side
    stretch: tuple = (0.7, 1.3)  # horizontal, as when a 4:3 photo is squeezed square
    clutter: bool = True


SINGLE = Style(things=(1, 1), size=(0.35, 0.85))
SCENE = Style(things=(1, 5), size=(0.22, 0.5))
TIDY_SINGLE = Style(things=(1, 1), size=(0.55, 0.95), clutter=False)
TIDY_SCENE = Style(things=(2, 4), size=(0.25, 0.45), clutter=False)
SMALL_SCENE = Style(things=(1, 5), size=(0.17, 0.44))


def _arc(centre, radius, start, stop, n=40):
    """n points on a circle's arc; angles in degrees, shape [n, 2]."""
    angle = np.radians(np.linspace(start, stop, n))
    return np.stack([centre[0] + radius * np.cos(angle),
                     centre[1] + radius * np.sin(angle)], axis=1)


def _star():
    angle = np.radians(np.arange(10) * 36 - 90)
    radius = np.where(np.arange(10) % 2 == 0, 1.0, 0.42)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _heart():
    t = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([x, -y - 2.5], axis=1) / 16


def _crescent():
    """A disc less another one of 0.85 its radius, 0.5 to its right."""
    d, r = 0.5, 0.85
    x = (1 + d * d - r * r) / (2 * d)
    outer = np.degrees(np.arccos(x))
    inner = np.degrees(np.arctan2(np.sqrt(1 - x * x), x - d))
    return np.concatenate([_arc((0, 0), 1, outer, 360 - outer, 50),
                           _arc((d, 0), r, 360 - inner, inner, 40)])


def _fish():
    angle = np.radians(np.linspace(155, -155, 40))
    body = np.stack([0.25 + 0.72 * np.cos(angle), 0.48 * np.sin(angle)], axis=1)
    tail = [(-0.95, -0.55), (-0.78, 0), (-0.95, 0.55)]
    return np.concatenate([body, tail])


# Outlines as polygons about the origin, reaching to about 1; y points down.
OUTLINES = {
    "arrow": np.array([(-1, -.24), (.15, -.24), (.15, -.66), (1, 0),
                       (.15, .66), (.15, .24), (-1, .24)]),
    "circle": _arc((0, 0), 0.9, 0, 354, 60),
    "crescent": _crescent(),
    "cross": np.array([(-.3, -.95), (.3, -.95), (.3, -.3), (.95, -.3), (.95, .3), (.3, .3),
                       (.3, .95), (-.3, .95), (-.3, .3), (-.95, .3), (-.95, -.3), (-.3, -.3)]),
    "fish": _fish(),
    "heart": _heart(),
    "house": np.array([(0, -.95), (.38, -.62), (.38, -.9), (.62, -.9), (.62, -.4), (.95, -.1),
                       (.62, -.1), (.62, .85), (-.62, .85), (-.62, -.1), (-.95, -.1)]),
    "square": np.array([(-.8, -.8), (.8, -.8), (.8, .8), (-.8, .8)]),
    "star": _star(),
    "triangle": np.array([(0, -.95), (.9, .7), (-.9, .7)]),
}


def _colour_far_from(rng, others):
    """A random RGB colour at least MIN_CONTRAST away from each of `others`."""
    while True:
        colour = rng.integers(0, 256, 3)
        if all(np.linalg.norm(colour - other) >= MIN_CONTRAST for other in others):
            return colour


def _background(rng, width, height):
    """A gradient with soft noise; returns (float picture [h, w, 3], its two colours)."""
    first = rng.integers(0, 256, 3)
    second = np.clip(first + rng.normal(0, 50, 3), 0, 255)
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[-0.5:0.5:height * 1j, -0.5:0.5:width * 1j]
    ramp = np.clip(0.5 + x * np.cos(angle) + y * np.sin(angle), 0, 1)[..., None]
    picture = first + (second - first) * ramp
    cells = rng.integers(3, 12)
    noise = Image.fromarray(rng.normal(0, 1, (cells, cells)).astype(np.float32))
    noise = np.asarray(noise.resize((width, height), Image.BICUBIC))
    return picture + noise[..., None] * rng.uniform(0, 14), (first, second)


def _blob(rng, width, height):
    """A wobbling closed curve [n, 2] that is none of the things."""
    t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    radius = np.ones_like(t)
    for k in (2, 3, 5):
        radius += rng.uniform(0.1, 0.25) * np.cos(k * t + rng.uniform(0, 2 * np.pi))
    radius *= rng.uniform(0.03, 0.11) * min(width, height)
    centre = rng.uniform(0, 1, 2) * (width, height)
    return centre + radius[:, None] * np.stack([np.cos(t), np.sin(t)], axis=1)


def _draw_clutter(rng, canvas, n_lines, n_blobs, unit):
    """Thin lines, dots and blobs, all in random colours; `unit` is one final pixel."""
    width, height = canvas.im.size
    for _ in range(n_blobs):
        colour = tuple(rng.integers(0, 256, 3).tolist())
        canvas.polygon([tuple(p) for p in _blob(rng, width, height)], fill=colour)
    for _ in range(n_lines):
        colour = tuple(rng.integers(0, 256, 3).tolist())
        points = rng.uniform(-0.1, 1.1, (rng.integers(2, 4), 2)) * (width, height)
        thickness = max(1, round(rng.uniform(0.005, 0.013) * min(width, height)))
        canvas.line([tuple(p) for p in points], fill=colour, width=max(unit, thickness))


def _place(rng, label, style, width, height):
    """One thing somewhere on the picture: (points [n, 2], stroke, box x0 y0 x1 y1)."""
    points = OUTLINES[label] * (rng.choice((-1, 1)), rng.uniform(0.88, 1.12))
    turn = 180 if label == "arrow" else MAX_TURN
    angle = np.radians(rng.uniform(-turn, turn))
    c, s = np.cos(angle), np.sin(angle)
    points = points @ np.array([(c, s), (-s, c)])
    points = points * (np.exp(rng.uniform(*np.log(style.stretch))), 1)
    extent = (points.max(axis=0) - points.min(axis=0)).max()
    size = np.exp(rng.uniform(*np.log(style.size))) * min(width, height)
    stroke = size * rng.uniform(0.05, 0.1)
    points = points * (size - stroke) / extent
    low, high = points.min(axis=0) - stroke / 2, points.max(axis=0) + stroke / 2
    offset = rng.uniform(-low, np.maximum((width, height) - high, -low))
    return points + offset, stroke, np.concatenate([low + offset, high + offset])


def _overlap(a, b):
    """Common area of two boxes as a part of the smaller one's."""
    common = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    smaller = min(np.prod(a[2:] - a[:2]), np.prod(b[2:] - b[:2]))
    return np.prod(np.maximum(common, 0)) / smaller


def _draw_thing(rng, canvas, points, stroke, background):
    """Filled, outlined, or filled with an outline of another colour."""
    colour = _colour_far_from(rng, background)
    kind = rng.choice(["filled", "outlined", "both"], p=[0.5, 0.25, 0.25])
    loop = [tuple(p) for p in points]
    if kind != "outlined":
        canvas.polygon(loop, fill=tuple(colour.tolist()))
    if kind == "both":
        colour = _colour_far_from(rng, [*background, colour])
    if kind == "filled":
        stroke = stroke / 2     # Keeps the drawn edge close to the stated box.
    canvas.line(loop + loop[:2], fill=tuple(colour.tolist()), width=max(1, round(stroke)),
                joint="curve")


def draw(seed, index, style, width, height, labels=None):
    """One picture and what is on it.

    Returns (uint8 [height, width, 3], list of (label number, box)), where a box is
    x0 y0 x1 y1 in pixels. `labels` names the things wanted, else chance does.
    """
    rng = np.random.default_rng([seed, index])
    if labels is None:
        labels = rng.choice(LABELS, rng.integers(style.things[0], style.things[1] + 1))
    big = (width * SUPERSAMPLING, height * SUPERSAMPLING)
    picture, background = _background(rng, width, height)
    image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    image = image.resize(big, Image.NEAREST)
    canvas = ImageDraw.Draw(image)
    if style.clutter:
        _draw_clutter(rng, canvas, rng.integers(0, 7), rng.integers(0, 6), SUPERSAMPLING)

    found = []
    for label in labels:
        for _ in range(PLACING_ATTEMPTS):
            points, stroke, box = _place(rng, label, style, *big)
            if all(_overlap(box, other) <= MAX_OVERLAP for _, other in found):
                _draw_thing(rng, canvas, points, stroke, background)
                found.append((LABELS.index(label), box))
                break

    if style.clutter:
        _draw_clutter(rng, canvas, rng.integers(0, 3), 0, SUPERSAMPLING)
    image = image.reduce(SUPERSAMPLING)
    if rng.random() < 0.3:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.9)))
    noisy = np.asarray(image) + rng.normal(0, rng.uniform(0, 12), (height, width, 3))
    picture = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    return picture, [(label, box / SUPERSAMPLING) for label, box in found]


def _draw_one(job):
    return draw(*job)


def draw_set(seed, count, style, size, processes=2):
    """`count` square pictures: (uint8 [count, size, size, 3], list of things per picture)."""
    jobs = [(seed, i, style, size, size) for i in range(count)]
    pictures = np.empty((count, size, size, 3), np.uint8)
    things = []
    with Pool(processes) as pool:
        for i, (picture, found) in enumerate(pool.imap(_draw_one, jobs, chunksize=64)):
            pictures[i] = picture
            things.append(found)
    return pictures, things
