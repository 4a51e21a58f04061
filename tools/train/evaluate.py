#!/usr/bin/env python3
"""Measures the two .tflite files on pictures neither of them has seen.

Draws the held-out pictures, runs TFLite's reference kernels over them and prints the
tables of models/README.md. Then answers for models/pictures as the command line would.
"""

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
from PIL import Image

from drawing import LABELS, SCENE, SINGLE, draw_set

try:
    from ai_edge_litert import interpreter as litert
except ImportError:
    from tensorflow.lite.python import interpreter as litert

MODELS = Path(__file__).resolve().parents[2] / "models"
CLASSIFIER_SEED, CLASSIFIER_PICTURES = 901, 3000
DETECTOR_SEED, DETECTOR_PICTURES = 902, 1000
IOU = 0.5


class Model:
    """A .tflite file with one picture as input."""

    def __init__(self, path):
        self.interpreter = litert.Interpreter(
            str(path), experimental_op_resolver_type=litert.OpResolverType.BUILTIN_REF)
        self.interpreter.allocate_tensors()
        self.input = self.interpreter.get_input_details()[0]
        self.outputs = [d["index"] for d in self.interpreter.get_output_details()]
        self.size = int(self.input["shape"][1])

    def __call__(self, picture):
        """All outputs for a picture u8 [size, size, 3]."""
        self.interpreter.set_tensor(self.input["index"], picture[None])
        self.interpreter.invoke()
        return [self.interpreter.get_tensor(i) for i in self.outputs]


def detections(model, picture):
    """What is on a square picture: (boxes [m, 4] as y0 x0 y1 x1 in 0..1, labels, scores)."""
    boxes, labels, scores, count = model(picture)
    m = int(count[0])
    return boxes[0, :m], labels[0, :m].astype(int), scores[0, :m]


def evaluate_classifier(model, seed, count):
    """Confusion matrix [truth, answer] over `count` pictures."""
    pictures, things = draw_set(seed, count, SINGLE, model.size)
    confusion = np.zeros((len(LABELS), len(LABELS)), int)
    for picture, found in zip(pictures, things):
        confusion[found[0][0], model(picture)[0][0].argmax()] += 1
    return confusion


def _overlaps(box, others):
    """IoU of one box with [m, 4] others, all by their corners."""
    common = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    common = np.prod(np.maximum(common, 0), axis=1)
    areas = np.prod(others[:, 2:] - others[:, :2], axis=1)
    return common / (np.prod(box[2:] - box[:2]) + areas - common)


def average_precision(truths, answers):
    """Area under the precision-recall curve of one label, as PASCAL VOC 2010 takes it.

    truths   {picture: boxes [m, 4]}
    answers  list of (score, picture, box [4])
    The best answers take their boxes first; a box taken twice is an error.
    """
    taken = {picture: np.zeros(len(boxes), bool) for picture, boxes in truths.items()}
    right = []
    for _, picture, box in sorted(answers, key=lambda answer: -answer[0]):
        overlap = _overlaps(box, truths[picture]) if picture in truths else np.zeros(1)
        best = overlap.argmax()
        hit = overlap[best] >= IOU and not taken[picture][best]
        if hit:
            taken[picture][best] = True
        right.append(hit)
    right = np.cumsum(right)
    recall = right / sum(len(boxes) for boxes in truths.values())
    precision = right / np.arange(1, len(right) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0) * precision))


def evaluate_detector(model, seed, count):
    """(average precision per label, things per label) over `count` pictures."""
    pictures, things = draw_set(seed, count, SCENE, model.size)
    truths = [{} for _ in LABELS]
    answers = [[] for _ in LABELS]
    for i, (picture, found) in enumerate(zip(pictures, things)):
        for label, box in found:
            truths[label].setdefault(i, []).append(box[[1, 0, 3, 2]] / model.size)
        for box, label, score in zip(*detections(model, picture)):
            answers[label].append((score, i, box))
    truths = [{i: np.array(boxes) for i, boxes in truth.items()} for truth in truths]
    precision = [average_precision(t, a) for t, a in zip(truths, answers)]
    return precision, [sum(map(len, t.values())) for t in truths]


def report_classifier(model, seed, count):
    """Prints the classifier's table; returns its top-1 accuracy."""
    confusion = evaluate_classifier(model, seed, count)
    right, asked = confusion.diagonal(), confusion.sum(axis=1)
    top_1 = right.sum() / asked.sum()
    print(f"Classifier: {asked.sum()} pictures, seed {seed}\n")
    print("| label | pictures | right | most often taken for |\n|---|---|---|---|")
    for i, label in enumerate(LABELS):
        wrong = confusion[i] * (np.arange(len(LABELS)) != i)
        other = f"{LABELS[wrong.argmax()]} ({wrong.max()})" if wrong.any() else "-"
        print(f"| {label} | {asked[i]} | {right[i] / asked[i]:.1%} | {other} |")
    print(f"| **all** | {asked.sum()} | **{top_1:.1%}** | |\n")
    return top_1


def report_detector(model, seed, count):
    """Prints the detector's table; returns its mean average precision."""
    precision, n_things = evaluate_detector(model, seed, count)
    mean = float(np.mean(precision))
    print(f"Detector: {count} pictures, {sum(n_things)} things, seed {seed}\n")
    print(f"| label | things | AP@{IOU} |\n|---|---|---|")
    for label, n, ap in zip(LABELS, n_things, precision):
        print(f"| {label} | {n} | {ap:.3f} |")
    print(f"| **mean** | {sum(n_things)} | **{mean:.3f}** |\n")
    return mean


def report_pictures(classifier, detector, folder):
    """Prints what is on each sample picture and what the models say."""
    for name, truth in json.loads((folder / "truth.json").read_text()).items():
        model = classifier if truth["task"] == "classify" else detector
        image = Image.open(folder / name).convert("RGB")
        picture = np.asarray(image.resize((model.size, model.size), Image.BILINEAR))
        print(f"{name}: has {', '.join(thing['label'] for thing in truth['things'])}")
        if model is classifier:
            scores = model(picture)[0][0]
            print(f"    {LABELS[scores.argmax()]} {scores.max() / 256:.2f}")
            continue
        for box, label, score in zip(*detections(model, picture)):
            if score >= 0.5:
                x0, y0, x1, y1 = np.rint(box[[1, 0, 3, 2]] * (image.size * 2)).astype(int)
                print(f"    {LABELS[label]} {score:.2f} at {x0},{y0} {x1},{y1}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, default=MODELS, help="folder of the files")
    parser.add_argument("--part", type=float, default=1.0,
                        help="part of the pictures to use, for a quick look (default: 1)")
    args = parser.parse_args()

    paths = [args.models / f"shapes_{kind}.tflite" for kind in ("classifier", "detector")]
    classifier, detector = map(Model, paths)
    top_1 = report_classifier(classifier, CLASSIFIER_SEED, int(CLASSIFIER_PICTURES * args.part))
    mean = report_detector(detector, DETECTOR_SEED, int(DETECTOR_PICTURES * args.part))
    report_pictures(classifier, detector, args.models / "pictures")
    print()
    for path in paths:
        data = path.read_bytes()
        print(f"{path.name}: {len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}")
    return 0 if top_1 >= 0.95 and mean >= 0.8 else 1


if __name__ == "__main__":
    raise SystemExit(main())
