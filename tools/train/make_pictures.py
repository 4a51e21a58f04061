#!/usr/bin/env python3
"""Draws models/pictures: a few samples for the demo and what is on each (truth.json)."""

import argparse
import json
from dataclasses import replace
from pathlib import Path

from PIL import Image

from drawing import LABELS, SCENE, SINGLE, draw

FOLDER = Path(__file__).resolve().parents[2] / "models" / "pictures"
SEED = 777
JPEG_QUALITY = 88

# Photos are not squeezed: the models' users squeeze them.
SINGLE_PHOTO = replace(SINGLE, size=(0.5, 0.8), stretch=(1, 1))
SCENE_PHOTO = replace(SCENE, size=(0.2, 0.42), stretch=(1, 1))

# (file, task, width, height, what is on it)
PICTURES = (
    ("single_star.jpg", "classify", 320, 240, ["star"]),
    ("single_house.jpg", "classify", 320, 240, ["house"]),
    ("single_fish.jpg", "classify", 240, 320, ["fish"]),
    ("single_crescent.png", "classify", 160, 160, ["crescent"]),
    ("scene_1.jpg", "detect", 480, 360, ["arrow", "heart", "square", "circle"]),
    ("scene_2.jpg", "detect", 400, 400, ["fish", "fish", "star", "triangle", "cross"]),
    ("scene_3.jpg", "detect", 360, 480, ["house", "crescent", "triangle"]),
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder to write to")
    args = parser.parse_args()

    args.output.mkdir(parents=True, exist_ok=True)
    truth = {}
    for index, (name, task, width, height, wanted) in enumerate(PICTURES):
        style = SINGLE_PHOTO if task == "classify" else SCENE_PHOTO
        picture, things = draw(SEED, index, style, width, height, wanted)
        Image.fromarray(picture).save(args.output / name, quality=JPEG_QUALITY)
        truth[name] = {"task": task, "width": width, "height": height,
                       "things": [{"label": LABELS[label], "box": box.round(1).tolist()}
                                  for label, box in things]}
    rows = ",\n".join(f"{json.dumps(name)}: {json.dumps(row)}" for name, row in truth.items())
    (args.output / "truth.json").write_text(f"{{\n{rows}\n}}\n")


if __name__ == "__main__":
    main()
