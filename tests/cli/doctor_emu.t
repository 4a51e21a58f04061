The doctor on the software NPU: the test convolution is computed on every core.

$ scree emu -q -- scree doctor | grep -E '^(ok|error) +(cores|inference)' -A 1
ok       cores        rocket runs all 3 cores: fdab0000.npu (asleep), fdac0000.npu (asleep),
                      fdad0000.npu (asleep).
--
ok       inference    Test convolutions came out right on every core, in [0-9.]+ ms. (re)

$ scree emu -q --cores 1 -- scree doctor | grep inference
ok       inference    A test convolution came out right, in [0-9.]+ ms. (re)

Each way in which a job can go wrong is told.

$ scree emu -q --faults timeout@1+ -- scree doctor | grep inference -A 1
error    inference    The NPU took the test convolution, but wrote no result: the job was lost,
                      or the kernel stopped it after half a second.

$ scree emu -q --faults lost@2 -- scree doctor | grep inference -A 1
error    inference    The NPU took the test convolution, but wrote no result: the job was lost,
                      or the kernel stopped it after half a second.

$ scree emu -q --faults eio@1 -- scree doctor | grep inference -A 1
error    inference    The test convolution could not be run: the NPU's driver takes no job:
                      Input/output error.

$ scree emu -q --faults enodev@3 -- scree doctor | grep inference -A 1
error    inference    The test convolution could not be run: waiting for the NPU: No such
                      device.

$ scree emu -q --faults corrupt@3 -- scree doctor | grep inference -A 1
error    inference    The NPU computes wrongly: [0-9]+ bytes of the test convolution's result are (re)
                      not what they must be.
