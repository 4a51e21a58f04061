"""Non-maximum suppression, and the operator behind SSD detectors."""

from case import Case, Quant, Tensor, elements, group, pack, scalar


def _boxes(draw, count):
    """Boxes that overlap often: corners in any order, some twice the same."""
    boxes = []
    for _ in range(count):
        if boxes and draw.chance(15):
            boxes.append(draw.pick(*boxes))
            continue
        y, x = draw.uniform(0.0, 1.0), draw.uniform(0.0, 1.0)
        corners = [y, x, y + draw.uniform(0.0, 0.5), x + draw.uniform(0.0, 0.5)]
        if draw.chance(10):
            corners = corners[2:] + corners[:2]
        boxes.append(corners)
    return Tensor("f32", (count, 4), feed=[pack("f32", [side for box in boxes for side in box])])


def _scores(draw, shape):
    """Scores, many of them equal at times."""
    if draw.chance(30):
        values = [draw.int(0, 8) / 8 for _ in range(elements(shape))]
    else:
        values = [draw.uniform(0.0, 1.0) for _ in range(elements(shape))]
    return Tensor("f32", shape, feed=[pack("f32", values)])


def _suppression(draw, *more):
    count = draw.int(1, 24)
    limit = draw.int(0, count + 3)
    return [_boxes(draw, count), _scores(draw, (count,)),
            draw.ints_tensor([limit], "i32", ()),
            scalar("f32", draw.pick(0.0, 0.3, 0.5, 1.0, draw.uniform(0.1, 0.9))),
            scalar("f32", draw.pick(0.0, 0.2, draw.uniform(0.0, 0.9))), *more]


@group("detection", "NON_MAX_SUPPRESSION_V4", "f32", 60)
def suppression(draw, _):
    """The best boxes that do not overlap better ones."""
    return Case("NON_MAX_SUPPRESSION_V4", _suppression(draw), [Tensor("i32"), Tensor("i32")])


@group("detection", "NON_MAX_SUPPRESSION_V5", "f32", 60)
def soft_suppression(draw, _):
    """The same with scores that fall by the overlap instead, if sigma is not zero."""
    sigma = scalar("f32", draw.pick(0.0, 0.5, draw.uniform(0.1, 2.0)))
    return Case("NON_MAX_SUPPRESSION_V5", _suppression(draw, sigma),
                [Tensor("i32"), Tensor("f32"), Tensor("i32")])


def _detection(draw, encodings, scores, anchors, classes):
    options = {"max_detections": draw.int(1, 12), "max_classes_per_detection": draw.int(1, 3),
               "num_classes": classes, "nms_score_threshold": draw.pick(0.0, 0.2, 0.4),
               "nms_iou_threshold": draw.pick(0.3, 0.5, 0.6), "y_scale": 10.0, "x_scale": 10.0,
               "h_scale": 5.0, "w_scale": 5.0}
    if draw.chance(60):
        options["use_regular_nms"] = draw.chance(50)
        options["detections_per_class"] = draw.int(1, 10)
    options["max_classes_per_detection"] = min(options["max_classes_per_detection"], classes)
    return Case("TFLite_Detection_PostProcess", [encodings, scores, anchors],
                [Tensor("f32") for _ in range(4)], options, custom=True, version=1)


def _anchors(draw, count):
    numbers = []
    for _ in range(count):
        numbers += [draw.uniform(0.1, 0.9), draw.uniform(0.1, 0.9), draw.uniform(0.1, 0.5),
                    draw.uniform(0.1, 0.5)]
    return numbers


@group("detection", "TFLite_Detection_PostProcess", "f32", 80)
def detection_float(draw, _):
    """Boxes decoded from anchors, with or without a class for the background."""
    count, classes, background = draw.int(2, 20), draw.int(1, 5), draw.below(2)
    anchors = Tensor("f32", (count, 4), data=pack("f32", _anchors(draw, count)))
    return _detection(draw, draw.input("f32", (1, count, 4), None, -3.0, 3.0),
                      _scores(draw, (1, count, classes + background)), anchors, classes)


@group("detection", "TFLite_Detection_PostProcess", "u8", 60)
def detection_quantized(draw, _):
    """uint8 boxes, scores and anchors."""
    count, classes, background = draw.int(2, 20), draw.int(1, 5), draw.below(2)
    quant = Quant([0.004], [0])
    anchors = Tensor("u8", (count, 4), quant, data=bytes(
        min(255, int(number / quant.scale)) for number in _anchors(draw, count)))
    return _detection(draw, draw.input("u8", (1, count, 4), Quant([draw.scale(-6, -5)],
                                                                  [draw.int(90, 160)])),
                      draw.input("u8", (1, count, classes + background), Quant([1 / 256], [0])),
                      anchors, classes)
