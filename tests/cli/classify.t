The sample pictures of one thing.

$ scree classify $MODELS/shapes_classifier.tflite $PICTURES/single_star.jpg --top 2
.*/single_star.jpg: 320 x 240, [0-9.]+ ms (re)
      8  star                             0.996094  (raw 255)
      0  arrow                            0.000000  (raw 0)

$ cd $PICTURES && scree classify ../shapes_classifier.tflite single_fish.jpg single_star.jpg --top 1 --threads 1 | grep -v ms
      4  fish                             0.964844  (raw 247)
      8  star                             0.996094  (raw 255)

$ scree classify $MODELS/shapes_classifier.tflite $PICTURES/single_star.jpg --threshold 0.5 --json | grep -c '"score"'
1

A file that is no picture does not keep the others from their answers.

$ cd $PICTURES && echo hello > /tmp/scree-hello.jpg; scree classify ../shapes_classifier.tflite /tmp/scree-hello.jpg single_star.jpg --top 1 2>&1 | grep -v ms; rm /tmp/scree-hello.jpg
scree: /tmp/scree-hello.jpg: not a JPEG, PNG, WebP, BMP, PPM or PGM picture
      8  star                             0.996094  (raw 255)

$ scree classify $MODELS/shapes_classifier.tflite nowhere.jpg
scree: nowhere.jpg: No such file or directory
[4]

$ mkdir empty; scree classify $MODELS/shapes_classifier.tflite empty
scree classify: no pictures there
[4]

$ scree detect $MODELS/shapes_classifier.tflite $PICTURES/single_star.jpg
scree: .*/shapes_classifier.tflite: .* (re)
[4]

$ scree classify $MODELS/shapes_classifier.tflite $PICTURES/single_star.jpg --labels nowhere.txt
scree: nowhere.txt: No such file or directory
[4]

Drawings.

$ scree classify $MODELS/shapes_classifier.tflite $PICTURES/single_star.jpg --top 1 --draw out.png | grep drawn
  drawn in out.png

$ scree classify $MODELS/shapes_classifier.tflite $PICTURES/single_star.jpg $PICTURES/single_fish.jpg --top 1 --draw folder | grep drawn
  drawn in folder/single_star.png
  drawn in folder/single_fish.png

$ scree classify $MODELS/shapes_classifier.tflite $PICTURES/single_star.jpg --draw out.gif
scree classify: --draw out.gif: the name must end in .png, .jpg or .jpeg
[2]
