Tensors from files and into files.

$ scree run $MODELS/shapes_classifier.tflite --seed 3 --output a --threads 1
output 0: uint8 1x10 'scores' fnv1a [0-9a-f]{16} -> a/out0.npy (re)

$ scree run $MODELS/shapes_classifier.tflite --seed 3 --output b --raw --threads 4 | cut -d' ' -f1-6
output 0: uint8 1x10 'scores' fnv1a

$ tail -c 10 a/out0.npy | cmp - b/out0.bin

$ head -c 120 a/out0.npy | tail -c 110 | tr -d ' '
{'descr':'|u1','fortran_order':False,'shape':(1,10,),}

The same bytes as .npy and raw are the same input.

$ head -c 27648 /dev/zero > in.bin; printf '\223NUMPY\001\000v\000' > in.npy; printf '%-117s\n' "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 96, 96, 3), }" >> in.npy; cat in.bin >> in.npy; for f in in.bin in.npy; do scree run $MODELS/shapes_classifier.tflite --input $f; done | sort -u | wc -l
1

$ head -c 100 in.npy > cut.npy; scree run $MODELS/shapes_classifier.tflite --input cut.npy
scree: cut.npy: the .npy header is cut off or too long
[4]

$ sed 's/|u1/|O/' in.npy > odd.npy; scree run $MODELS/shapes_classifier.tflite --input odd.npy
scree: odd.npy: element type '|O' of the .npy file is not supported
[4]

$ head -c 27000 in.npy > cut.npy; scree run $MODELS/shapes_classifier.tflite --input cut.npy
scree: cut.npy: the .npy file is cut off
[4]

$ head -c 100 in.bin > cut.bin; scree run $MODELS/shapes_classifier.tflite --input cut.bin
scree: cut.bin: 100 bytes, input 'image' needs 27648
[4]

$ sed 's/96/48/' in.npy > small.npy; scree run $MODELS/shapes_classifier.tflite --input small.npy
scree: small.npy: the file holds uint8 of rank 4, another type or shape than input 'image'
[4]

$ scree run $MODELS/shapes_classifier.tflite --input in.bin in.bin
scree run: --input has 2 files, the model 1 input
[2]

Other shapes, where the model allows it.

$ scree inspect $MODELS/shapes_classifier.tflite --shape 1x96x96 2>&1 | tail -n 1
scree: .*: operator .* (re)

$ scree run $MODELS/shapes_classifier.tflite --shape nonsense
scree: --shape nonsense: one like 1x224x224x3 for each input is wanted, 1 in all
[2]

$ for s in 1x96x96x 1x96x96x3,1 1x96x96x3,x; do scree run $MODELS/shapes_classifier.tflite --shape $s; done
scree: --shape 1x96x96x: one like 1x224x224x3 for each input is wanted, 1 in all
scree: --shape 1x96x96x3,1: one like 1x224x224x3 for each input is wanted, 1 in all
scree: --shape 1x96x96x3,x: one like 1x224x224x3 for each input is wanted, 1 in all
[2]

$ scree bench $MODELS/shapes_classifier.tflite --runs 3 --warmup 0 --json | grep -c '_ms'
7
