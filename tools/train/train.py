#!/usr/bin/env python3
"""Trains one of the two networks, in float32: train.py classifier|detector.

Each learns from a few tidy pictures first, which saves epochs on the cluttered ones.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import anchors
import networks
from drawing import (LABELS, SCENE, SINGLE, SMALL_SCENE, TIDY_SCENE, TIDY_SINGLE,
                     draw_set)

BATCH = 32
THREADS = 2
PEAK_RATE = 1e-3
LABEL_SMOOTHING = 0.05


class Batches(keras.utils.PyDataset):
    """Shuffled batches, every picture mirrored and recoloured at random."""

    def __init__(self, pictures, things, encode, seed):
        super().__init__()
        self.pictures, self.things, self.encode = pictures, things, encode
        self.rng = np.random.default_rng(seed)
        self.on_epoch_end()

    def __len__(self):
        return len(self.pictures) // BATCH

    def on_epoch_end(self):
        self.order = self.rng.permutation(len(self.pictures))

    def _vary(self, picture, boxes):
        """Mirrored or not, and its colours in one of their 6 orders."""
        if self.rng.random() < 0.5:
            picture = np.flip(picture, 1)
            boxes = boxes * (1, -1, 1, 1) + (0, 1, 0, 0)
        return picture[..., self.rng.permutation(3)], boxes

    def __getitem__(self, batch):
        pictures, wanted = [], []
        for i in self.order[batch * BATCH:(batch + 1) * BATCH]:
            labels, boxes = self.things[i]
            picture, boxes = self._vary(self.pictures[i], boxes)
            pictures.append(picture)
            wanted.append(self.encode(labels, boxes))
        wanted = tuple(np.stack(x) for x in zip(*wanted))
        return normalize(np.stack(pictures)), wanted if len(wanted) > 1 else wanted[0]


def normalize(pictures):
    """Bytes to the networks' [-1, 1]."""
    return pictures.astype(np.float32) / 127.5 - 1


def as_arrays(things, size):
    """Per picture (labels int [m], boxes f32 [m, 4] as y, x, h, w in 0..1)."""
    result = []
    for found in things:
        labels = np.array([label for label, _ in found], np.int32)
        box = np.array([box for _, box in found], np.float32).reshape(-1, 4) / size
        middle, extent = (box[:, :2] + box[:, 2:]) / 2, box[:, 2:] - box[:, :2]
        result.append((labels, np.concatenate([middle[:, ::-1], extent[:, ::-1]], axis=1)))
    return result


def score_loss(targets, scores):
    """Focal loss (arXiv 1708.02002) over anchors, per thing on the picture."""
    asked = tf.cast(targets != -2, tf.float32)[..., None]
    truth = tf.one_hot(tf.cast(targets, tf.int32), len(LABELS))     # Keras made them float.
    scores = tf.clip_by_value(scores, 1e-6, 1 - 1e-6)
    right = truth * scores + (1 - truth) * (1 - scores)
    weight = truth * 0.25 + (1 - truth) * 0.75
    loss = -asked * weight * (1 - right) ** 2 * tf.math.log(right)
    n_matched = tf.reduce_sum(tf.cast(targets >= 0, tf.float32), axis=1)
    return tf.reduce_sum(loss, axis=(1, 2)) / tf.maximum(n_matched, 1)


def box_loss(wanted, codes):
    """Huber loss of the codes of matched anchors; `wanted` is [b, n, 5] with a mask last."""
    mask = wanted[..., 4]
    error = tf.abs(wanted[..., :4] - codes)
    huber = tf.where(error < 1, error ** 2 / 2, error - 0.5)
    loss = tf.reduce_sum(tf.reduce_sum(huber, axis=-1) * mask, axis=1)
    return loss / tf.maximum(tf.reduce_sum(mask, axis=1), 1)


def detector_targets(all_anchors):
    """A function from (labels, boxes) to what box_loss and score_loss take."""
    def encode(labels, boxes):
        targets, codes = anchors.encode(all_anchors, labels, boxes)
        return np.concatenate([codes, targets[:, None] >= 0], axis=1), targets
    return encode


def classifier_targets(labels, _boxes):
    """One-hot with LABEL_SMOOTHING, as a tuple of one."""
    truth = np.full(len(LABELS), LABEL_SMOOTHING / len(LABELS), np.float32)
    truth[labels[0]] += 1 - LABEL_SMOOTHING
    return (truth,)


@dataclass
class Recipe:
    """How one of the models is trained."""

    network: callable       # from the number of labels
    losses: object
    encode: callable        # from (labels, boxes) to the losses' targets
    size: int               # of the pictures, a side
    seed: int
    phases: tuple           # of (style, pictures, epochs); each draws its own pictures


RECIPES = {
    "classifier": Recipe(networks.classifier, "categorical_crossentropy", classifier_targets,
                         networks.CLASSIFIER_SIZE, 101,
                         ((TIDY_SINGLE, 4000, 4), (SINGLE, 16000, 10), (SINGLE, 24000, 6))),
    "detector": Recipe(networks.detector, [box_loss, score_loss],
                       detector_targets(anchors.grid()), networks.DETECTOR_SIZE, 201,
                       ((TIDY_SCENE, 2000, 2), (SMALL_SCENE, 12000, 12), (SCENE, 16000, 8))),
}


def train(recipe, network, path, first_phase=0):
    """Takes a network through its recipe's phases and saves it to `path` after each epoch."""
    for phase, (style, count, epochs) in list(enumerate(recipe.phases))[first_phase:]:
        seed = recipe.seed + phase
        pictures, things = draw_set(seed, count, style, recipe.size)
        batches = Batches(pictures, as_arrays(things, recipe.size), recipe.encode, seed)
        rate = keras.optimizers.schedules.CosineDecay(
            1e-4, epochs * len(batches), warmup_target=PEAK_RATE, warmup_steps=50, alpha=0.01)
        network.compile(keras.optimizers.Adam(rate), recipe.losses, jit_compile=False)
        network.fit(batches, epochs=epochs, verbose=2,
                    callbacks=[keras.callbacks.ModelCheckpoint(path)])


def load(work, kind):
    """A network saved by train()."""
    return keras.models.load_model(work / f"{kind}.keras", compile=False)


def fresh(recipe, work, kind):
    """An untrained network; the detector's backbone starts as the classifier's."""
    network = recipe.network(len(LABELS))
    if kind == "detector":
        backbone = load(work, "classifier").get_layer(networks.BACKBONE)
        network.get_layer(networks.BACKBONE).set_weights(backbone.get_weights())
    return network


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=sorted(RECIPES))
    parser.add_argument("--work", type=Path, default=Path("work"),
                        help="folder for the trained network (default: work)")
    parser.add_argument("--resume", type=int, default=0, metavar="PHASE",
                        help="go on with the saved network at this phase, counted from 0")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    recipe = RECIPES[args.kind]
    keras.utils.set_random_seed(recipe.seed)
    network = load(args.work, args.kind) if args.resume else fresh(recipe, args.work, args.kind)
    train(recipe, network, args.work / f"{args.kind}.keras", args.resume)


if __name__ == "__main__":
    main()
