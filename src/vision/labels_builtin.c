/* Lists of classes that models share. */
#include <string.h>

#include "vision/labels.h"

/* Ids 1 to 90 of COCO's annotations, less 1, with the ids that COCO left out: the label map of
 * TensorFlow's detection models (mscoco_label_map.pbtxt). */
static const char *const coco_91[] = {
    "person",
    "bicycle",
    "car",
    "motorcycle",
    "airplane",
    "bus",
    "train",
    "truck",
    "boat",
    "traffic light",
    "fire hydrant",
    NULL,
    "stop sign",
    "parking meter",
    "bench",
    "bird",
    "cat",
    "dog",
    "horse",
    "sheep",
    "cow",
    "elephant",
    "bear",
    "zebra",
    "giraffe",
    NULL,
    "backpack",
    "umbrella",
    NULL,
    NULL,
    "handbag",
    "tie",
    "suitcase",
    "frisbee",
    "skis",
    "snowboard",
    "sports ball",
    "kite",
    "baseball bat",
    "baseball glove",
    "skateboard",
    "surfboard",
    "tennis racket",
    "bottle",
    NULL,
    "wine glass",
    "cup",
    "fork",
    "knife",
    "spoon",
    "bowl",
    "banana",
    "apple",
    "sandwich",
    "orange",
    "broccoli",
    "carrot",
    "hot dog",
    "pizza",
    "donut",
    "cake",
    "chair",
    "couch",
    "potted plant",
    "bed",
    NULL,
    "dining table",
    NULL,
    NULL,
    "toilet",
    NULL,
    "tv",
    "laptop",
    "mouse",
    "remote",
    "keyboard",
    "cell phone",
    "microwave",
    "oven",
    "toaster",
    "sink",
    "refrigerator",
    NULL,
    "book",
    "clock",
    "vase",
    "scissors",
    "teddy bear",
    "hair drier",
    "toothbrush",
};

/* The same without gaps: the order of YOLO's models (coco.names). */
static const char *const coco_80[] = {
    "person",        "bicycle",      "car",
    "motorcycle",    "airplane",     "bus",
    "train",         "truck",        "boat",
    "traffic light", "fire hydrant", "stop sign",
    "parking meter", "bench",        "bird",
    "cat",           "dog",          "horse",
    "sheep",         "cow",          "elephant",
    "bear",          "zebra",        "giraffe",
    "backpack",      "umbrella",     "handbag",
    "tie",           "suitcase",     "frisbee",
    "skis",          "snowboard",    "sports ball",
    "kite",          "baseball bat", "baseball glove",
    "skateboard",    "surfboard",    "tennis racket",
    "bottle",        "wine glass",   "cup",
    "fork",          "knife",        "spoon",
    "bowl",          "banana",       "apple",
    "sandwich",      "orange",       "broccoli",
    "carrot",        "hot dog",      "pizza",
    "donut",         "cake",         "chair",
    "couch",         "potted plant", "bed",
    "dining table",  "toilet",       "tv",
    "laptop",        "mouse",        "remote",
    "keyboard",      "cell phone",   "microwave",
    "oven",          "toaster",      "sink",
    "refrigerator",  "book",         "clock",
    "vase",          "scissors",     "teddy bear",
    "hair drier",    "toothbrush",
};

/* The classes of Pascal VOC with the background first: the order of DeepLab's models. */
static const char *const voc_21[] = {
    "background", "aeroplane", "bicycle",     "bird",  "boat",        "bottle", "bus",
    "car",        "cat",       "chair",       "cow",   "diningtable", "dog",    "horse",
    "motorbike",  "person",    "pottedplant", "sheep", "sofa",        "train",  "tvmonitor",
};

/* COCO's key points of a person: the order of MoveNet and PoseNet. */
static const char *const keypoints_17[] = {
    "nose",           "left eye",   "right eye",   "left ear",   "right ear",   "left shoulder",
    "right shoulder", "left elbow", "right elbow", "left wrist", "right wrist", "left hip",
    "right hip",      "left knee",  "right knee",  "left ankle", "right ankle",
};

#define TABLE(name, texts)                                          \
    {                                                               \
        name, (uint32_t)(sizeof(texts) / sizeof((texts)[0])), texts \
    }

static const struct scree_label_table tables[] = {
    TABLE("coco-91", coco_91),
    TABLE("coco-80", coco_80),
    TABLE("voc-21", voc_21),
    TABLE("keypoints-17", keypoints_17),
};

#define N_TABLES (sizeof tables / sizeof tables[0])

_Static_assert(sizeof coco_80 / sizeof coco_80[0] == 80, "COCO has 80 classes");
_Static_assert(sizeof voc_21 / sizeof voc_21[0] == 21, "VOC has 20 classes and the background");
_Static_assert(sizeof keypoints_17 / sizeof keypoints_17[0] == SCREE_N_KEYPOINTS, "17 key points");

const struct scree_label_table *scree_label_table_find(const char *name)
{
    for (size_t i = 0; i < N_TABLES; i++)
        if (strcmp(tables[i].name, name) == 0)
            return &tables[i];
    return NULL;
}

const char *scree_label_table_name(size_t i)
{
    return i < N_TABLES ? tables[i].name : NULL;
}
