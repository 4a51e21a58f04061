"""The two networks: small, without residual sums, ReLU6 throughout.

Full 3x3 convolutions while channels are few, then MobileNetV1's separable ones
(arXiv 1704.04861). They keep to what NPU delegates take: square pictures, equal
strides, SAME padding, no dilation, more than one channel everywhere.
"""

import keras
from keras import Model, initializers, layers

from anchors import ANCHORS_PER_CELL

CLASSIFIER_SIZE = 96    # pixels a side
DETECTOR_SIZE = 128
BACKBONE = "backbone"   # The layer both share; the detector's starts as the classifier's.


@keras.saving.register_keras_serializable("scree")
class Edges(initializers.GlorotUniform):
    """Kernels [kh, kw, ic, oc] of zero mean over kh and kw: blind to even colour.

    With plain ones the random background colours drown the shapes, and training
    finds no hold for thousands of steps.
    """

    def __call__(self, shape, dtype=None):
        kernel = super().__call__(shape, dtype)
        return kernel - keras.ops.mean(kernel, axis=(0, 1), keepdims=True)


def _normalized(x):
    return layers.ReLU(max_value=6)(layers.BatchNormalization(momentum=0.95)(x))


def _full(x, channels, stride=1, start="glorot_uniform"):
    """A 3x3 convolution."""
    x = layers.Conv2D(channels, 3, stride, padding="same", use_bias=False,
                      kernel_initializer=start)(x)
    return _normalized(x)


def _separable(x, channels, stride=1):
    """A depthwise 3x3, then a pointwise convolution."""
    x = layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False)(x)
    x = _normalized(x)
    return _normalized(layers.Conv2D(channels, 1, use_bias=False)(x))


def _backbone(size):
    """A picture [b, size, size, 3] in [-1, 1] to features [b, size / 8, size / 8, 64]."""
    picture = layers.Input((size, size, 3))
    x = _full(picture, 16, 2, Edges())
    for channels, stride in ((24, 2), (48, 2), (64, 1)):
        x = _full(x, channels, stride)
    return Model(picture, x, name=BACKBONE)


def classifier(n_labels):
    """Picture [b, 96, 96, 3] to probabilities [b, n_labels]."""
    picture = layers.Input((CLASSIFIER_SIZE, CLASSIFIER_SIZE, 3), name="image")
    x = _backbone(CLASSIFIER_SIZE)(picture)
    for channels, stride in ((96, 2), (128, 1), (128, 1)):
        x = _separable(x, channels, stride)
    x = layers.AveragePooling2D(x.shape[1])(x)
    x = layers.Flatten()(x)
    return Model(picture, layers.Dense(n_labels, activation="softmax", name="scores")(x))


def _heads(x, n_labels):
    """Box codes [b, n, 4] and logits [b, n, n_labels] of one feature map."""
    k = ANCHORS_PER_CELL
    boxes = layers.Conv2D(4 * k, 1)(x)
    rarely = initializers.Constant(-4.0)    # Most anchors hold nothing: start there.
    logits = layers.Conv2D(n_labels * k, 1, bias_initializer=rarely)(x)
    return layers.Reshape((-1, 4))(boxes), layers.Reshape((-1, n_labels))(logits)


def detector(n_labels):
    """Picture [b, 128, 128, 3] to box codes [b, n, 4] and scores [b, n, n_labels] in 0..1.

    The anchors' order is that of anchors.grid(): map, row, column, anchor.
    """
    picture = layers.Input((DETECTOR_SIZE, DETECTOR_SIZE, 3), name="image")
    x = _separable(_backbone(DETECTOR_SIZE)(picture), 96)
    fine = _heads(_separable(x, 96), n_labels)
    for channels, stride in ((128, 2), (128, 1), (128, 1)):
        x = _separable(x, channels, stride)
    coarse = _heads(x, n_labels)
    boxes = layers.Concatenate(axis=1, name="boxes")([fine[0], coarse[0]])
    logits = layers.Concatenate(axis=1)([fine[1], coarse[1]])
    return Model(picture, [boxes, layers.Activation("sigmoid", name="scores")(logits)])
