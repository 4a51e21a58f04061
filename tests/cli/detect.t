Boxes in pixels of the picture, best first; labels come from the model.

$ scree detect $MODELS/shapes_detector.tflite $PICTURES/scene_1.jpg --draw out.png
.*/scene_1.jpg: 480 x 360, [0-9.]+ ms (re)
      1  circle                   0.973  x 126..260  y 4..137
      5  heart                    0.941  x 69..210  y 138..246
      7  square                   0.926  x 228..359  y 135..277
      0  arrow                    0.754  x 47..176  y 234..340
  drawn in out.png

$ scree detect $MODELS/shapes_detector.tflite $PICTURES/scene_1.jpg --threshold 0.95 --threads 3 | tail -n 1
      1  circle                   0.973  x 126..260  y 4..137

$ scree detect $MODELS/shapes_detector.tflite $PICTURES/scene_1.jpg --top 1 --json | grep -E '"(label|score|task|device|width)"'
  "task": "detect",
  "device": "cpu",
      "width": 480,
          "score": 0.97265625,
          "label": "circle"

$ scree detect $MODELS/shapes_detector.tflite $PICTURES/scene_1.jpg --threshold 0.999 | tail -n 1
  nothing found

$ scree inspect $MODELS/shapes_detector.tflite | grep looks
  looks like: detect (SSD with post-processing)

$ scree inspect $MODELS/shapes_detector.tflite --task detect | grep looks
  looks like: detect (SSD with post-processing)

$ scree inspect $MODELS/shapes_detector.tflite --task pose | grep pose
  not for pose: .* (re)

$ scree inspect $MODELS/shapes_detector.tflite --task fly
scree inspect: no task 'fly': classify, detect, segment and pose are there
[2]

$ scree inspect $MODELS/shapes_detector.tflite --dot | grep -c PostProcess
1

A drawing is a picture that can be read again.

$ scree detect $MODELS/shapes_detector.tflite out.png | head -n 1 | cut -d, -f1
out.png: 480 x 360
