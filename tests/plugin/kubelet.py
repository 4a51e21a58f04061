#!/usr/bin/env python3
"""A kubelet of another make: the contract once more, with gRPC's own library on the other side.

usage: kubelet.py scree-device-plugin    exit 77: there is no grpcio for any python3 of this machine
"""
import concurrent.futures
import pathlib
import queue
import signal
import subprocess
import sys
import tempfile
import time

from grpcio import LACK, grpc
from wire import field, pick, read

if not grpc:
    print(LACK)
    sys.exit(77)

MACHINE = """user 0 0
dir /sys/bus/platform/drivers/rocket
link /sys/bus/platform/drivers/rocket/fdab0000.npu ../../x
link /sys/class/accel/accel0/device ../../../rknn
file /sys/class/accel/accel0/dev
| 261:0
node /dev/accel/accel0 261:0 0660 0:303
"""


class Kubelet:
    """Registration on kubelet.sock; calls the plugin back before it answers."""

    def __init__(self, folder):
        self.folder = folder
        self.registered = queue.Queue()
        self.server = None

    def start(self):
        for socket in self.folder.glob("*.sock"):
            socket.unlink()
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
        handler = grpc.unary_unary_rpc_method_handler(self.register)
        self.server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(
            "v1beta1.Registration", {"Register": handler})])
        self.server.add_insecure_port(f"unix:{self.folder}/kubelet.sock")
        self.server.start()

    def stop(self):
        self.server.stop(None).wait()

    def register(self, request, _):
        fields = dict(read(request))
        channel = grpc.insecure_channel(f"unix:{self.folder}/{fields[2].decode()}")
        options = self.unary(channel, "GetDevicePluginOptions", b"")
        self.registered.put((fields, options, channel, time.monotonic()))
        return b""

    @staticmethod
    def unary(channel, method, request):
        return channel.unary_unary(f"/v1beta1.DevicePlugin/{method}")(request, timeout=10)


def devices(message):
    return {pick(d, 1)[0].decode(): pick(d, 2)[0].decode() for d in pick(message, 1)}


def expect(what, got, want):
    if got != want:
        raise SystemExit(f"FAIL {what}: {got!r}, not {want!r}")
    print(f"ok {what}")


def play(kubelet, machine):
    fields, options, channel, _ = kubelet.registered.get(timeout=10)
    expect("version", fields[1], b"v1beta1")
    expect("resource", fields[3], b"npu.rockchip.com/rk3588")
    expect("options", dict(read(options)), {2: 1})
    stream = channel.unary_stream("/v1beta1.DevicePlugin/ListAndWatch")(b"")
    expect("devices", devices(next(stream)), {f"accel0-{i}": "Healthy" for i in range(3)})
    request = field(1, b"".join(field(1, f"accel0-{i}") for i in (0, 1)))
    container = pick(kubelet.unary(channel, "Allocate", request), 1)[0]
    variables = {pick(v, 1)[0]: pick(v, 2)[0] for v in pick(container, 1)}
    expect("variables", variables, {b"SCREE_INSTANCES": b"2", b"SCREE_NPUS": b"accel0"})
    expect("nodes", [dict(read(d)) for d in pick(container, 3)],
           [{1: b"/dev/accel/accel0", 2: b"/dev/accel/accel0", 3: b"rw"}])
    expect("CDI", [pick(d, 1) for d in pick(container, 5)], [[b"npu.rockchip.com/rk3588=accel0"]])
    preferred = field(1, b"".join(field(1, f"accel0-{i}") for i in range(3)) + field(3, 1))
    answer = kubelet.unary(channel, "GetPreferredAllocation", preferred)
    expect("preference", pick(pick(answer, 1)[0], 1), [b"accel0-0"])
    expect("PreStartContainer", kubelet.unary(channel, "PreStartContainer", field(1, "accel0-0")), b"")
    machine.write_text("user 0 0\n")
    expect("lost", set(devices(next(stream)).values()), {"Unhealthy"})
    machine.write_text(MACHINE)
    expect("regained", set(devices(next(stream)).values()), {"Healthy"})
    try:
        kubelet.unary(channel, "Allocate", field(1, field(1, "nonsense")))
        raise SystemExit("FAIL an unknown device was allocated")
    except grpc.RpcError as error:
        expect("refusal", error.code(), grpc.StatusCode.INVALID_ARGUMENT)
    channel.close()


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="scree-kubelet-"))
    plugins, machine = folder / "device-plugins", folder / "machine.txt"
    plugins.mkdir()
    machine.write_text(MACHINE)
    kubelet = Kubelet(plugins)
    kubelet.start()
    plugin = subprocess.Popen(
        [sys.argv[1], "--kubelet-dir", plugins, "--root", machine, "--cdi-dir", folder / "cdi",
         "--check-ms", "50", "--listen", "", "--kmsg", "", "--log-level", "error"])
    try:
        play(kubelet, machine)
        kubelet.stop()
        kubelet = Kubelet(plugins)
        kubelet.start()
        start = time.monotonic()
        *_, channel, at = kubelet.registered.get(timeout=10)
        print(f"ok registered again {1000 * max(0, at - start):.0f} ms after the kubelet's start")
        channel.close()
        expect("still there", plugin.poll(), None)
        plugin.send_signal(signal.SIGTERM)
        expect("exit status", plugin.wait(timeout=10), 0)
    finally:
        plugin.kill()
        kubelet.stop()
        subprocess.run(["rm", "-rf", folder], check=True)


if __name__ == "__main__":
    main()
