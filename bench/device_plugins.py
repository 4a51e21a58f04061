#!/usr/bin/env python3
"""Compares scree-device-plugin with generic-device-plugin in one run, under the same kubelet of gRPC's own library.

Each plugin offers one device node as three shares. Rounds of both follow each other; figures are medians of all rounds.
A device is lost when its node is unlinked, and back when there is a node again; what is timed is until the list that says
so has come to the kubelet. Needs root (mknod) and python3-grpcio.

usage: device_plugins.py SCREE-DEVICE-PLUGIN GENERIC-DEVICE-PLUGIN [--rounds N] [--page FILE]
"""
import argparse
import os
import pathlib
import platform
import queue
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

TREE = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TREE / "tests/plugin"))
import kubelet as fake  # noqa: E402

DEVICE = os.makedev(10, 229)
CALLS = 2000


class Board:
    """A device node, and sysfs as scree-device-plugin wants it."""

    def __init__(self, folder):
        self.dev, self.sys = folder / "root/dev", folder / "root/sys"
        (self.dev / "accel").mkdir(parents=True)
        (self.sys / "bus/platform/drivers/rocket/fdab0000.npu").mkdir(parents=True)
        accel = self.sys / "class/accel/accel0"
        accel.mkdir(parents=True)
        (accel / "device").symlink_to("../../../devices/platform/rknn")
        (accel / "dev").write_text("10:229\n")
        self.node = self.dev / "accel/accel0"
        self.plug()

    def plug(self):
        os.mknod(self.node, 0o020660, DEVICE)

    def unplug(self):
        self.node.unlink()


def commands(arguments, plugins, board, folder):
    """{name: command line}"""
    return {
        "scree-device-plugin": [
            arguments.scree, "--kubelet-dir", plugins, "--root", folder / "root", "--cdi-dir", folder / "cdi",
            "--kmsg", "", "--listen", "127.0.0.1:0", "--log-level", "error"],
        "generic-device-plugin": [
            arguments.generic, "--plugin-directory", plugins, "--domain", "npu.rockchip.com", "--listen", "127.0.0.1:0",
            "--log-level", "error", "--device",
            '{"name": "rk3588", "groups": [{"count": 3, "paths": [{"path": "%s"}]}]}' % board.node],
    }


def resident(number):
    status = pathlib.Path(f"/proc/{number}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


class Watch:
    """ListAndWatch in a thread: (when, how many healthy) of each message."""

    def __init__(self, channel):
        self.messages, self.names = queue.Queue(), []
        self.stream = channel.unary_stream("/v1beta1.DevicePlugin/ListAndWatch")(b"")
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        try:
            for message in self.stream:
                found = fake.devices(message)
                self.names = self.names or sorted(found)
                self.messages.put((time.monotonic(), sum(h == "Healthy" for h in found.values())))
        except fake.grpc.RpcError:
            pass

    def until(self, wanted, began, seconds):
        """How long it took until so many were healthy, or None."""
        while True:
            try:
                when, healthy = self.messages.get(timeout=max(0.01, began + seconds - time.monotonic()))
            except queue.Empty:
                return None
            if healthy == wanted:
                return when - began


def allocate(channel, name):
    """Seconds of each Allocate, of one share."""
    request = fake.field(1, fake.field(1, name))
    call = channel.unary_unary("/v1beta1.DevicePlugin/Allocate")
    times = []
    for _ in range(CALLS):
        began = time.perf_counter()
        call(request, timeout=10)
        times.append(time.perf_counter() - began)
    return times


def round_of(name, arguments, found):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="scree-plugins-"))
    plugins = folder / "device-plugins"
    plugins.mkdir()
    board = Board(folder)
    kubelet = fake.Kubelet(plugins)
    kubelet.start()
    process = subprocess.Popen([str(c) for c in commands(arguments, plugins, board, folder)[name]],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        *_, channel, _ = kubelet.registered.get(timeout=20)
        # One stream only, as the kubelet has: generic-device-plugin tells each change to one of them.
        watch = Watch(channel)
        watch.until(3, time.monotonic(), 10)
        times = allocate(channel, watch.names[0])
        found["allocate"] += [1e6 * statistics.median(times)]
        found["allocate99"] += [1e6 * statistics.quantiles(times, n=100)[98]]
        time.sleep(2)
        found["rss"].append(resident(process.pid))
        began = time.monotonic()
        board.unplug()
        found["lost"].append(watch.until(0, began, 20))
        began = time.monotonic()
        board.plug()
        found["back"].append(watch.until(3, began, 20))
        kubelet.stop()
        channel.close()
        kubelet = fake.Kubelet(plugins)
        began = time.monotonic()
        kubelet.start()
        *_, channel, at = kubelet.registered.get(timeout=60)
        found["again"].append(at - began)
        channel.close()
    finally:
        process.kill()
        process.wait()
        kubelet.stop()
        shutil.rmtree(folder)


def middle(values, unit, digits=0, scale=1):
    if None in values or not values:
        return "never" if None in values else "-"
    return f"{scale * statistics.median(values):.{digits}f} {unit}"


def table(results, arguments, rounds):
    commit = subprocess.run(["git", "-C", str(TREE), "rev-parse", "--short", "HEAD"], text=True, capture_output=True,
                            check=False).stdout.strip()
    model = next((line.split(":")[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    ours, other = results["scree-device-plugin"], results["generic-device-plugin"]
    size = [os.path.getsize(p) / 1e6 for p in (arguments.scree, arguments.generic)]
    lines = [f"{model}, {os.cpu_count()} processors, Linux {platform.release()}; scree at {commit}; "
             f"medians of {rounds} rounds.", "", "| | scree-device-plugin | generic-device-plugin |", "|---|--:|--:|",
             f"| program | {size[0]:.2f} MB | {size[1]:.2f} MB |"]
    for label, key, unit, digits, scale in (
            ("resident memory", "rss", "MiB", 2, 1), ("registered again after the kubelet's restart", "again", "ms", 0, 1000),
            ("a lost device is told", "lost", "ms", 0, 1000), ("a device that is back is told", "back", "ms", 0, 1000),
            ("Allocate, median", "allocate", "us", 0, 1), ("Allocate, 99th percentile", "allocate99", "us", 0, 1)):
        lines.append(f"| {label} | {middle(ours[key], unit, digits, scale)} | {middle(other[key], unit, digits, scale)} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scree")
    parser.add_argument("generic")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--page", type=pathlib.Path, help="put the table between <!-- plugins --> of this page")
    arguments = parser.parse_args()
    keys = ("rss", "again", "lost", "back", "allocate", "allocate99")
    results = {name: {key: [] for key in keys} for name in ("scree-device-plugin", "generic-device-plugin")}
    for _ in range(arguments.rounds):
        for name, found in results.items():
            round_of(name, arguments, found)
    text = table(results, arguments, arguments.rounds)
    print(text, end="")
    if arguments.page:
        page = arguments.page.read_text()
        before, rest = page.split("<!-- plugins -->\n", 1)
        after = rest.split("<!-- /plugins -->", 1)[1]
        arguments.page.write_text(f"{before}<!-- plugins -->\n{text}<!-- /plugins -->{after}")


if __name__ == "__main__":
    main()
