#!/usr/bin/env python3
"""Quantizes a trained network and writes it to models/: export.py classifier|detector.

Weights and activations are int8 with one scale a tensor, as NPUs want them; the ranges
of the activations come from pictures drawn for it.
"""

import argparse
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import anchors
import networks
import tflite_file
from drawing import LABELS, SCENE, SINGLE, draw_set
from tflite_file import (AXIS_LABELS, CONTENT_BOXES, CONTENT_FEATURE, VALUE_LABELS, ModelText,
                         TensorText)

MODELS = Path(__file__).resolve().parents[2] / "models"
CALIBRATION_SEED = 301
CALIBRATION_PICTURES = 400

POSTPROCESS = {
    "max_detections": 10, "max_classes_per_detection": 1, "detections_per_class": 10,
    "use_regular_nms": False, "nms_score_threshold": 0.05, "nms_iou_threshold": 0.45,
    "num_classes": len(LABELS),
    "y_scale": float(anchors.CODE_SCALE[0]), "x_scale": float(anchors.CODE_SCALE[1]),
    "h_scale": float(anchors.CODE_SCALE[2]), "w_scale": float(anchors.CODE_SCALE[3]),
}

CLASSIFIER_TEXT = ModelText(
    "shapes classifier", "Which of ten kinds of drawn things is on a picture: "
    + ", ".join(LABELS) + ".", networks.CLASSIFIER_SIZE,
    [TensorText("scores", "Probability of each label.", label_type=AXIS_LABELS)])

DETECTOR_TEXT = ModelText(
    "shapes detector", "Where drawn things of ten kinds are on a picture: "
    + ", ".join(LABELS) + ".", networks.DETECTOR_SIZE,
    [TensorText("boxes", "top, left, bottom, right as parts of the picture's sides.",
                CONTENT_BOXES, value_range=(2, 2)),
     TensorText("classes", "Label numbers of the boxes.", CONTENT_FEATURE, VALUE_LABELS, (2, 2)),
     TensorText("scores", "Scores of the boxes, in 0..1.", value_range=(2, 2)),
     TensorText("count", "How many boxes are valid.")])


def quantize(network, style, size, output_type):
    """The network as .tflite bytes: int8 inside, uint8 pictures in, `output_type` out."""
    pictures, _ = draw_set(CALIBRATION_SEED, CALIBRATION_PICTURES, style, size)
    normalized = pictures.astype(np.float32) / 127.5 - 1

    picture = keras.Input(batch_shape=(1, size, size, 3), name="image")     # one, not any number
    converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(picture, network(picture)))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([picture[None]] for picture in normalized)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.uint8
    converter.inference_output_type = output_type
    converter._experimental_disable_per_channel = True
    return converter.convert()


def export_classifier(network):
    """The classifier's file."""
    model = tflite_file.parse(quantize(network, SINGLE, networks.CLASSIFIER_SIZE, tf.uint8))
    tflite_file.shorten_names(model, ["image"], ["scores"])
    tflite_file.add_metadata(model, CLASSIFIER_TEXT)
    return tflite_file.pack(model)


def export_detector(network):
    """The detector's file."""
    model = tflite_file.parse(quantize(network, SCENE, networks.DETECTOR_SIZE, tf.float32))
    graph = model.subgraphs[0]
    by_width = {int(graph.tensors[i].shape[-1]): i for i in graph.outputs}
    tflite_file.add_postprocess(model, by_width[4], by_width[len(LABELS)], anchors.grid(),
                                POSTPROCESS)
    tflite_file.shorten_names(model, ["image"], [])
    tflite_file.add_metadata(model, DETECTOR_TEXT)
    return tflite_file.pack(model)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=["classifier", "detector"])
    parser.add_argument("--work", type=Path, default=Path("work"),
                        help="folder of the trained network (default: work)")
    parser.add_argument("--output", type=Path, default=MODELS, help="folder to write to")
    args = parser.parse_args()

    network = keras.models.load_model(args.work / f"{args.kind}.keras", compile=False)
    export = export_classifier if args.kind == "classifier" else export_detector
    data = tflite_file.append_labels(export(network), LABELS)
    (args.output / f"shapes_{args.kind}.tflite").write_bytes(data)
    (args.output / tflite_file.LABELS_FILE).write_text("".join(f"{x}\n" for x in LABELS))


if __name__ == "__main__":
    main()
