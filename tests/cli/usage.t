Wrong usage is told in one line, with exit code 2.

$ scree --version
scree 0.1.0

$ scree help bench | head -n 1
usage: scree bench MODEL [options]

$ scree help serve | head -n 1
usage: scree serve [options]

$ scree help fly
scree: no verb 'fly'
Try 'scree --help'.
[2]

$ scree fly
scree: no verb 'fly'
Try 'scree --help'.
[2]

$ scree bench
scree bench: missing: MODEL
Try 'scree bench --help'.
[2]

$ scree bench a.tflite b.tflite
scree bench: unexpected: b.tflite
Try 'scree bench --help'.
[2]

$ scree bench --runs many a.tflite
scree bench: --runs many: a number from 1 to 1000000 is wanted
[2]

$ scree bench --runs=0 a.tflite
scree bench: --runs 0: a number from 1 to 1000000 is wanted
[2]

$ scree bench --threads some a.tflite
scree bench: --threads some: a number from 1 to 64 is wanted
[2]

$ scree bench --threads
scree bench: a value is missing after --threads
Try 'scree bench --help'.
[2]

$ scree bench --wings a.tflite
scree bench: unknown option --wings
Try 'scree bench --help'.
[2]

$ scree bench --json=yes a.tflite
scree bench: no value is taken by --json=yes
Try 'scree bench --help'.
[2]

$ scree inspect --device npu a.tflite
scree: no device 'npu': auto, cpu and teflon are there
[3]

Files that cannot be used have exit code 4.

$ scree inspect nothing.tflite
scree: nothing.tflite: No such file or directory
[4]

$ echo hello > hello.tflite; scree inspect hello.tflite
scree: hello.tflite: not a .tflite file: no "TFL3" at byte 4
[4]

$ scree inspect .
scree: .: not a regular file
[4]

What is printed has to arrive; what nobody wants to have has.

$ scree --version > /dev/full
scree: standard output: No space left on device
[1]

$ scree inspect $MODELS/shapes_classifier.tflite --json > /dev/full
scree: standard output: No space left on device
[1]

$ scree run $MODELS/shapes_classifier.tflite --output there >&-; ls there
out0.npy

$ tail -c 10 there/out0.npy | wc -c; grep -c fnv1a there/out0.npy
10
0
[1]
