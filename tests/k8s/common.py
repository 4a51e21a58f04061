"""What the scenarios share: how they say what they see, and requests to the server."""
import pathlib
import re
import threading
import time
import urllib.error

from node import Failure, ask, run, wait_for

HERE = pathlib.Path(__file__).resolve().parent
PICTURE = (HERE.parents[1] / "models/pictures/single_star.jpg").read_bytes()
RESOURCE = "npu.rockchip.com/rk3588"
SOCKETS = pathlib.Path("/var/lib/kubelet/device-plugins")


def say(text):
    print(text, flush=True)


def require(what, true, seen=""):
    if not true:
        raise Failure(f"{what}: {seen}")
    say((f"  ok   {what}" + (f": {seen}" if seen != "" else "")).rstrip())


def top(answer):
    """The class that an answer of /infer puts first, and its probability."""
    first = answer["predictions"][0]
    return f"{first['label']} {first['probability']:.3f}"


class Load:
    """Requests one after the other in threads until it is ended."""

    def __init__(self, url, threads=2):
        self.url, self.failed, self.done, self.ending = url, [], 0, threading.Event()
        self.threads = [threading.Thread(target=self.work) for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def work(self):
        while not self.ending.is_set():
            try:
                answer, _ = ask(self.url, PICTURE)
                if not top(answer).startswith("star "):
                    self.failed.append(top(answer))
                self.done += 1
            except OSError as error:
                self.failed.append(str(error))

    def end(self):
        self.ending.set()
        for thread in self.threads:
            thread.join()


def ask_url(url, where, device):
    """Sends the picture until it is answered, and looks at the answer."""
    def first():
        try:
            return ask(url, PICTURE)
        except urllib.error.URLError:
            return None

    (answer, headers), _ = wait_for(f"an answer by {where}", first, 30)
    require(f"a picture of a star, sent to {where}", top(answer).startswith("star "), top(answer))
    require("where it was computed", headers.get("X-Inference-Device") == device, headers.get("X-Inference-Device"))


def show_programs(node, *names):
    for name in names:
        say("  " + run(name, "--version", env=node.programs.environment).splitlines()[0].rstrip())


def show_plugin():
    status = run("sh", "-c", "cat /proc/$(pgrep -x scree-device-pl)/status")
    require("the plugin has no capabilities", "CapEff:\t0000000000000000" in status)
    # Not what `status` says: the kernel counts small programs late there.
    memory = run("sh", "-c", "cat /proc/$(pgrep -x scree-device-pl)/smaps_rollup")
    say(f"  its memory: {re.search('Rss:(.*)', memory).group(1).strip()} resident, "
        f"{re.search('Anonymous:(.*)', memory).group(1).strip()} of it its own")


def inode(path):
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def restart_under_load(node, start, url, settled):
    """Stops the kubelet and starts it again, while requests go to url until settled() returns."""
    load = Load(url)
    try:
        time.sleep(2)
        sockets = SOCKETS / "kubelet.sock", next(p for p in SOCKETS.glob("*.sock") if p.name != "kubelet.sock")
        old = [path.stat().st_ino for path in sockets]
        node.programs.stop("kubelet")
        gone = time.monotonic()
        start()
        new = []
        for path, number in zip(sockets, old):
            wait_for(f"another {path.name}", lambda p=path, n=number: inode(p) not in (None, n), 60, 0.001)
            new.append(time.monotonic())
        settled()
        time.sleep(3)
    finally:
        load.end()
    require("no request failed", load.done > 20 and not load.failed, f"{load.done} answered, {len(load.failed)} failed"
            f" {load.failed[:2] or ''}")
    say(f"  the kubelet listened {new[0] - gone:.2f} s after its start, the plugin again "
        f"{1000 * (new[1] - new[0]):.0f} ms after that")
