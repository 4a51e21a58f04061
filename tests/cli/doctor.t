The machines of tests/doctor are asked there; this is the rest.

$ scree doctor --root nothing.txt
scree: nothing.txt: No such file or directory
[4]

$ printf 'user 0 0\npipe /dev/x\n' > bad.txt; scree doctor --root bad.txt
scree: bad.txt: line 2: neither user, file, link, dir nor node
[4]

$ scree doctor here
scree doctor: unexpected: here
Try 'scree doctor --help'.
[2]

A folder can stand for a machine; the environment can name it too.

$ mkdir -p empty/proc; touch empty/proc/cpuinfo; SCREE_ROOT=empty scree doctor
error    board        This machine is no RK3588 board: there is no NPU here that scree can use.
                      Models run on the CPU, and 'scree emu' runs a program on an NPU made of
                      software.
                 see: scree emu -- scree doctor
not checked: kernel, device tree, driver, supply, cores, IOMMU, clock, heat, device, access, delegate, render link, inference
There is no NPU to use.
[3]

A file in the place of the device is not the device, and the delegate can be named.

$ mkdir -p m/sys/bus/platform/drivers/rocket/fdab0000.npu m/sys/class/accel/accel0 m/dev/accel m/proc/sys/kernel; ln -s ../../../rknn m/sys/class/accel/accel0/device; echo 261:0 > m/sys/class/accel/accel0/dev; echo 6.18.1 > m/proc/sys/kernel/osrelease; touch m/dev/accel/accel0; scree doctor --root m --delegate /x.so | grep -A 2 -E '^error +(device|delegate)'
error    device       /dev/accel/accel0 is not the kernel's device 261:0, but a plain file.
                 see: ls -l /dev/accel/accel0
error    delegate     There is no file /x.so.
                 fix: install Mesa 25.3 or later, built with -Dteflon=true -Dgallium-drivers=rocket
