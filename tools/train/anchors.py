"""Anchors of the detector: their grid, and how boxes are coded against them.

The coding is the one TFLite_Detection_PostProcess undoes: with anchor centre and size
(ya, xa, ha, wa), a box (y, x, h, w) has the code

    ((y - ya) / ha * 10, (x - xa) / wa * 10, log(h / ha) * 5, log(w / wa) * 5)

All coordinates are parts of the picture's side, in 0..1.
"""

import numpy as np

CODE_SCALE = np.array([10, 10, 5, 5], np.float32)   # y, x, h, w

# (cells a side, sizes of the square anchors as parts of the picture)
MAPS = ((16, (0.16, 0.20, 0.25)), (8, (0.29, 0.36, 0.45)))
ANCHORS_PER_CELL = 3

MATCH_IOU = 0.5     # At least: the anchor shall find the box.
IGNORE_IOU = 0.4    # Between the two the anchor is neither right nor wrong.


def grid():
    """All anchors, f32 [n, 4]: y, x, h, w, by map, row, column, anchor."""
    anchors = []
    for cells, sizes in MAPS:
        middles = (np.arange(cells) + 0.5) / cells
        y, x, size = np.meshgrid(middles, middles, sizes, indexing="ij")
        anchors.append(np.stack([y, x, size, size], axis=-1).reshape(-1, 4))
    return np.concatenate(anchors).astype(np.float32)


def corners(boxes):
    """(y, x, h, w) to (y0, x0, y1, x1)."""
    return np.concatenate([boxes[..., :2] - boxes[..., 2:] / 2,
                           boxes[..., :2] + boxes[..., 2:] / 2], axis=-1)


def iou(a, b):
    """Intersection over union of corner boxes [n, 4] and [m, 4]: [n, m]."""
    common = np.minimum(a[:, None, 2:], b[:, 2:]) - np.maximum(a[:, None, :2], b[:, :2])
    common = np.prod(np.maximum(common, 0), axis=-1)
    area_a, area_b = (np.prod(x[:, 2:] - x[:, :2], axis=-1) for x in (a, b))
    return common / (area_a[:, None] + area_b - common)


def encode(anchors, labels, boxes):
    """What the network shall say of one picture.

    labels  int [m], boxes  f32 [m, 4] as y, x, h, w
    Returns (label per anchor [n]: -1 nothing, -2 not asked; box codes f32 [n, 4]).
    Each box gets the anchors at MATCH_IOU and in any case its best one.
    """
    targets = np.full(len(anchors), -1, np.int32)
    codes = np.zeros((len(anchors), 4), np.float32)
    if len(labels) == 0:
        return targets, codes
    overlap = iou(corners(anchors), corners(boxes))
    owner = overlap.argmax(axis=1)
    best = overlap.max(axis=1)
    targets[best >= IGNORE_IOU] = -2
    favourites = overlap.argmax(axis=0)
    best[favourites] = 1
    owner[favourites] = np.arange(len(boxes))
    matched = best >= MATCH_IOU
    targets[matched] = labels[owner[matched]]
    codes[:, :2] = (boxes[owner, :2] - anchors[:, :2]) / anchors[:, 2:]
    codes[:, 2:] = np.log(boxes[owner, 2:] / anchors[:, 2:])
    return targets, codes * CODE_SCALE * matched[:, None]
