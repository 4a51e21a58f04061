Operators that are left to a delegate: which, and what happens when it fails.

$ scree inspect --device npu a.tflite
scree: no device 'npu': auto, cpu and teflon are there
[3]

$ scree inspect $MODELS/shapes_classifier.tflite --delegate $DELEGATE --ops | grep -c ' delegate  '
10

$ scree inspect $MODELS/shapes_classifier.tflite --delegate $DELEGATE --ops | grep -E 'delegate:|QUANTIZE   |AVERAGE_POOL_2D  '
  delegate: /.*/libtest_delegate.so runs 10 operators in 1 parts (re)
     0  QUANTIZE                   cpu       int8 1x96x96x3                     delegates are offered convolutions only
    11  AVERAGE_POOL_2D            cpu       int8 1x1x1x128                     delegates are offered convolutions only
    14  QUANTIZE                   cpu       uint8 1x10                         delegates are offered convolutions only

$ scree inspect $MODELS/shapes_classifier.tflite --device cpu --delegate $DELEGATE --ops | grep -c ' delegate  '
0
[1]

$ scree run $MODELS/shapes_classifier.tflite --delegate $DELEGATE --json | sed -n '/"npu"/,$p' | grep -vE '"delegate":|^[{}]'
  "npu": {
    "device": "delegate",
    "operators": 10,
    "parts": 1,
    "runs": 1,
    "verified": 1,
    "repeated": 0,
    "fallbacks": 0,
    "note": ""
  }

A delegate that crashes costs a line, and the answer is the CPU's.

$ cd $MODELS; scree run shapes_classifier.tflite --device cpu >/dev/null; scree run shapes_classifier.tflite --delegate $DELEGATE --delegate-option fault=crash_prepare
scree: /.*/libtest_delegate.so: shapes_classifier.tflite: it crashed compiling the model \(Segmentation fault\): test delegate: about to crash; the CPU does it all (re)
output 0: uint8 1x10 'scores' fnv1a [0-9a-f]{16} (re)

$ cd $MODELS; scree classify shapes_classifier.tflite pictures/single_star.jpg --top 1 --delegate $DELEGATE --delegate-option fault=write_half --delegate-option after=1 2>&1 | grep -v ' ms'
scree: /.*/libtest_delegate.so: shapes_classifier.tflite: a run was no good: the output was not written; the CPU did it again (re)
      8  star .* (re)

Nor does one that crashes, or hangs, in the middle of the work.

$ cd $MODELS; scree classify shapes_classifier.tflite pictures/single_star.jpg --top 1 --delegate $DELEGATE --delegate-option fault=abort_invoke --delegate-option after=1 2>&1 | grep -v ' ms'
scree: /.*/libtest_delegate.so: shapes_classifier.tflite: a run was no good: it crashed running the model \(Aborted\): free\(\): double free detected; the CPU did it again (re)
      8  star .* (re)

$ cd $MODELS; scree classify shapes_classifier.tflite pictures/single_star.jpg --top 1 --delegate $DELEGATE --delegate-option fault=hang_invoke --delegate-option after=1 2>&1 | grep -v ' ms'
scree: /.*/libtest_delegate.so: shapes_classifier.tflite: a run was no good: it had not finished running the model after [0-9.]+ s; the CPU did it again (re)
      8  star .* (re)

$ cd $MODELS; scree run shapes_classifier.tflite --require-npu --delegate $DELEGATE --delegate-option fault=crash_invoke --delegate-option after=1
scree: .*: /.*/libtest_delegate.so: shapes_classifier.tflite: a run was no good: it crashed running the model \(Segmentation fault\).* (re)
[3]

$ cd $MODELS; scree run shapes_classifier.tflite --delegate $DELEGATE --delegate-option fault=hang_prepare --delegate-timeout 1 | wc -l
scree: /.*/libtest_delegate.so: shapes_classifier.tflite: it had not finished compiling the model after 1 s; the CPU does it all (re)
1

Unless the NPU is required.

$ cd $MODELS; scree run shapes_classifier.tflite --require-npu --delegate $DELEGATE --delegate-option fault=abort_prepare
scree: shapes_classifier.tflite: /.*/libtest_delegate.so: it crashed compiling the model \(Aborted\).* (re)
[3]

$ scree run $MODELS/shapes_classifier.tflite --require-npu --device cpu
scree: .*shapes_classifier.tflite: the NPU is required, but the device is the CPU (re)
[4]

$ scree run $MODELS/shapes_classifier.tflite --delegate nowhere/libdelegate.so
scree: .*shapes_classifier.tflite: nowhere/libdelegate.so: cannot open shared object file: No such file or directory (re)
[4]

$ scree run $MODELS/shapes_classifier.tflite --delegate $DELEGATE --delegate-option fault
scree: .*shapes_classifier.tflite: delegate option 'fault': key=value is wanted (re)
[4]

Several sessions at once.

$ scree bench $MODELS/shapes_classifier.tflite --device cpu --instances 1,2 --concurrency 3 --runs 9 | grep -E '^  +[0-9i]' | awk '{ print $1, $2 }'
instances clients
1 3
2 3

$ scree bench $MODELS/shapes_classifier.tflite --instances 1,x
scree bench: --instances 1,x: numbers from 1 to 16 are wanted, as 1,2,3
[2]
