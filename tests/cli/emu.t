A command finds the NPU of a board, and what tells of it.

$ scree emu --quiet -- stat -c '%F %t:%T %a' /dev/accel/accel0
character special file 105:0 666

$ scree emu --quiet -- cat /sys/class/accel/accel0/dev
261:0

$ scree emu --quiet -- grep -c 'GICv3.*npu$' /proc/interrupts
3

$ scree emu --quiet --cores 1 -- ls /sys/bus/platform/drivers/rocket
fdab0000.npu

$ scree emu --quiet -- scree doctor | grep inference
ok       inference    Test convolutions came out right on every core, in .* ms. (re)

$ scree emu --quiet --faults corrupt@1+ -- scree doctor | grep inference
error    inference    The NPU computes wrongly: .* (re)

$ scree emu --quiet --faults enodev@1 -- scree doctor | grep inference
error    inference    The test convolution could not be run: .* (re)

Its exit code is that of scree, and a report goes to standard error.

$ scree emu --cores 2 -- sh -c 'exit 7'
software NPU: 0 jobs in 0 submits
  core 0:      0 jobs      0 tasks      0.000 Mcycles      0 bytes      0.000 ms at 198 MHz
  core 1:      0 jobs      0 tasks      0.000 Mcycles      0 bytes      0.000 ms at 198 MHz
[7]

$ scree emu --quiet -- sh -c 'kill -9 $$'
[137]

$ scree emu --quiet -- no-such-command
scree: no-such-command: No such file or directory
[127]

$ scree emu --faults melt@1 -- true
scree emu: faults: 'melt@1' is not timeout, lost, eio, enodev or corrupt with @N (the Nth job), @N+ (from there on) or %P (P percent of jobs)
Try 'scree emu --help'.
[2]

$ scree emu --library /etc/passwd -- true
scree: /etc/passwd: not a shared library
[4]
