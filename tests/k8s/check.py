#!/usr/bin/env python3
"""A real node and what scree does on it: shares, pods without rights, a lost device, restarts, DRA.

usage: check.py FOLDER TOOLS IMAGE.tar...     as process 1 of its namespaces; see tools/check_k8s

Everything that is printed was observed in this run; the first thing that is not as it should be ends it with 1.
"""
import json
import pathlib
import re
import sys
import threading
import time
import urllib.error

import node as nodes
from node import Failure, ask, wait_for

HERE = pathlib.Path(__file__).resolve().parent
PICTURE = (HERE.parents[1] / "models/pictures/single_star.jpg").read_bytes()
RESOURCE = "npu.rockchip.com/rk3588"
SOCKETS = pathlib.Path("/var/lib/kubelet/device-plugins")
SERVER = "app.kubernetes.io/name=scree-server"


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


def settle(node, wanted):
    """Waits until the server's pods are in these phases and no old one is left, and sees that it stays so."""
    def now():
        items = node.get("pods", "-n", "scree", "-l", SERVER)["items"]
        return len(items) == sum(wanted.values()) and node.phases("scree", SERVER) == wanted

    wait_for(f"pods: {wanted}", now, 120)
    time.sleep(3)
    require("pods", now(), wanted)


# ---- scenarios --------------------------------------------------------------------------------------

def show_versions(node):
    say("# the node")
    for command in (("kubelet", "--version"), ("containerd", "--version"), ("runc", "--version"), ("etcd", "--version")):
        say("  " + nodes.run(*command, env=node.programs.environment).splitlines()[0])
    info = node.get("node", nodes.NAME)["status"]["nodeInfo"]
    say(f"  Linux {info['kernelVersion']}, {info['architecture']}, {info['containerRuntimeVersion']}, cgroup v"
        f"{node.cgroup_version}")


def install_plugin(node):
    say("# the plugin as a DaemonSet: kubectl apply -k, deploy/kubernetes/plugin and where the stand-in is")
    node.kubectl("apply", "-k", HERE / "plugin")
    _, seconds = wait_for("three shares on the node", lambda: node.shares(RESOURCE) == (3, 3), 120)
    require("capacity and allocatable of the node", True, f"{node.shares(RESOURCE)} after {seconds:.1f} s")
    pod = wait_for("the plugin's pod is ready", lambda: node.phases("scree-system") == {"Running": 1}, 60)
    require("the plugin's pod", bool(pod), node.phases("scree-system"))
    status = nodes.run("sh", "-c", "cat /proc/$(pgrep -x scree-device-pl)/status")
    require("the plugin has no capabilities", "CapEff:\t0000000000000000" in status)
    say(f"  its memory: {re.search('VmRSS:(.*)', status).group(1).strip()} resident, "
        f"{re.search('RssAnon:(.*)', status).group(1).strip()} of it its own")


def install_server(node):
    say("# the server: 4 replicas for 3 shares, namespace `restricted`")
    said = node.kubectl("apply", "-k", HERE / "server")
    require("PodSecurity has nothing to say", "would violate" not in said)
    settle(node, {"Running": 3, "Pending": 1})
    pending = next(p for p in node.pods("scree", SERVER).values() if p["status"]["phase"] == "Pending")
    why = " ".join(c.get("message", "") for c in pending["status"]["conditions"])
    require("the fourth waits for a share", f"Insufficient {RESOURCE}" in why, why.split(". ")[0])
    pod = next(p for p in node.pods("scree", SERVER).values() if p["status"]["phase"] == "Running")
    for what in ("resources", "image"):
        say(f"  {what}: {json.dumps(pod['spec']['containers'][0][what])}")


def ask_server(node, device):
    url = node.service("scree", "scree-server")

    def first():
        try:
            return ask(url, PICTURE)
        except urllib.error.URLError:
            return None

    (answer, headers), _ = wait_for("an answer by the Service", first, 30)
    require("a picture of a star, sent to the Service", top(answer).startswith("star "), top(answer))
    require("where it was computed", headers.get("X-Inference-Device") == device, headers.get("X-Inference-Device"))


def show_doctor(node):
    say("# scree doctor in such a pod: the stand-in is no NPU")
    name = next(n for n, p in node.pods("scree", SERVER).items() if p["status"]["phase"] == "Running")
    text = node.kubectl("exec", "-n", "scree", name, "--", "/usr/bin/scree", "doctor", check=False,
                        errors=True)
    say("".join(f"  | {line}\n" for line in text.splitlines()).rstrip())
    require("it tells the truth", "There is no NPU to use." in text)


OPEN = """apiVersion: v1
kind: Pod
metadata: {name: %(name)s, namespace: %(namespace)s}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  containers:
    - name: open
      image: localhost/pause:1
      imagePullPolicy: Never
      command: [/open, %(arguments)s]
      %(more)s
"""
UNPRIVILEGED = """securityContext: {runAsUser: 65532, runAsNonRoot: true, allowPrivilegeEscalation: false,
        capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}}
"""


def opened(node, name, namespace, arguments, more):
    """What /open said in a pod of its own."""
    node.kubectl("apply", "-f", "-", input=OPEN % {
        "name": name, "namespace": namespace, "arguments": ", ".join(f'"{a}"' for a in arguments), "more": more})
    text, _ = wait_for(f"pod {name}", lambda: node.kubectl("logs", "-n", namespace, name, check=False).strip(), 60)
    node.kubectl("delete", "pod", name, "-n", namespace, "--wait=true")
    return text


def show_access(node):
    say("# who may open the device")
    share = f"      resources: {{limits: {{{RESOURCE}: 1}}}}\n"
    node.kubectl("scale", "deployment/scree-server", "-n", "scree", "--replicas=2")
    settle(node, {"Running": 2})
    text = opened(node, "with", "scree", ["/dev/accel/accel0"], UNPRIVILEGED + share)
    require("user 65532 with a share", text == "open as user 65532: yes", text)
    text = opened(node, "without", "scree-system", ["/npu", *map(str, nodes.DEVICE)], "")
    require("root without a share, with a node of its own making", text.endswith("Operation not permitted"), text)


def show_emulated(node):
    say("# the same on the software NPU: another image, preloaded, with a delegate that makes jobs for it")
    node.kubectl("patch", "deployment/scree-server", "-n", "scree", "--type=json", "-p", json.dumps([
        {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "localhost/scree-emulated:1"},
        {"op": "add", "path": "/spec/template/spec/containers/0/env",
         "value": [{"name": "LD_PRELOAD", "value": "/usr/lib/scree/libscree-emu.so"}]},
        *({"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": value} for value in
          ("--device=teflon", "--delegate=/usr/lib/teflon/libteflon.so", "--delegate-option=via=npu",
           "--require-npu"))]))
    load = Load(node.service("scree", "scree-server"), 1)
    try:
        node.kubectl("rollout", "status", "deployment/scree-server", "-n", "scree", "--timeout=120s")
        settle(node, {"Running": 2})
    finally:
        load.end()
    require("RollingUpdate on 3 shares, requests going on", load.done and not load.failed,
            f"{load.done} answered, {len(load.failed)} failed {load.failed[:2] or ''}")
    ask_server(node, "mixed")


def health_of(node):
    """What the pods' status says of their devices."""
    found = []
    for pod in node.pods("scree", SERVER).values():
        for container in pod["status"].get("containerStatuses", []):
            for resource in container.get("allocatedResourcesStatus", []):
                found += [r.get("health") for r in resource.get("resources", [])]
    return sorted(found)


def lose_device(node):
    say("# the device is lost, and comes back")
    wait_for("pods with healthy devices", lambda: health_of(node) == ["Healthy"] * 2, 60)
    require("allocatedResourcesStatus", True, health_of(node))
    began = time.monotonic()
    nodes.unplug()
    wait_for("nothing allocatable", lambda: node.shares(RESOURCE)[1] == 0, 30, 0.05)
    require("allocatable 0", True, f"{time.monotonic() - began:.2f} s later, at the API server")
    wait_for("unhealthy in the pods' status", lambda: health_of(node) == ["Unhealthy"] * 2, 60)
    require("allocatedResourcesStatus", True, f"{health_of(node)} {time.monotonic() - began:.2f} s later")
    log = node.kubectl("logs", "-n", "scree-system", "daemonset/scree-device-plugin")
    say("  log: " + next(line for line in reversed(log.splitlines()) if "nhealthy" in line))
    require("the pods go on", node.phases("scree", SERVER) == {"Running": 2}, node.phases("scree", SERVER))
    began = time.monotonic()
    nodes.plug()
    wait_for("three allocatable", lambda: node.shares(RESOURCE)[1] == 3, 60, 0.05)
    require("allocatable 3 again", True, f"{time.monotonic() - began:.2f} s after it came back")
    wait_for("healthy in the pods' status", lambda: health_of(node) == ["Healthy"] * 2, 60)
    require("allocatedResourcesStatus", True, f"{health_of(node)} {time.monotonic() - began:.2f} s after")


def inode(path):
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def restart_kubelet(node):
    say("# the kubelet is restarted while requests come")
    before = set(node.pods("scree", SERVER))
    load = Load(node.service("scree", "scree-server"))
    try:
        time.sleep(2)
        sockets = SOCKETS / "kubelet.sock", next(p for p in SOCKETS.glob("*.sock") if p.name != "kubelet.sock")
        old = [path.stat().st_ino for path in sockets]
        node.programs.stop("kubelet")
        gone = time.monotonic()
        node.start_kubelet()
        new = []
        for path, number in zip(sockets, old):
            wait_for(f"another {path.name}", lambda p=path, n=number: inode(p) not in (None, n), 60, 0.001)
            new.append(time.monotonic())
        wait_for("the node has its shares", lambda: node.shares(RESOURCE) == (3, 3), 60)
        wait_for("the node is ready", lambda: node.ok("kubectl", "wait", "--for=condition=Ready", "--timeout=1s",
                                                      f"node/{nodes.NAME}"), 60)
        time.sleep(3)
    finally:
        load.end()
    require("no request failed", load.done > 20 and not load.failed, f"{load.done} answered, {len(load.failed)} failed"
            f" {load.failed[:2] or ''}")
    require("the same pods run", set(node.pods("scree", SERVER)) == before)
    say(f"  the kubelet listened {new[0] - gone:.2f} s after its start, the plugin again "
        f"{1000 * (new[1] - new[0]):.0f} ms after that")


def remove_server(node):
    node.kubectl("delete", "deployment/scree-server", "-n", "scree", "--wait=true")
    wait_for("no server", lambda: not node.get("pods", "-n", "scree", "-l", SERVER)["items"], 60)


def show_dra(node):
    say("# Dynamic Resource Allocation in place of the device plugin")
    remove_server(node)
    node.kubectl("delete", "-k", HERE / "plugin", "--wait=true")
    wait_for("no shares", lambda: node.shares(RESOURCE)[1] == 0, 60)
    node.kubectl("apply", "-k", HERE / "dra")
    slices, seconds = wait_for("a ResourceSlice", lambda: node.get("resourceslices")["items"], 120)
    devices = slices[0]["spec"]["devices"]
    require("ResourceSlice", len(devices) == 3, f"{len(devices)} devices after {seconds:.1f} s")
    say("  " + json.dumps(devices[0]))
    node.kubectl("apply", "-k", HERE / "claims")
    settle(node, {"Running": 3, "Pending": 1})
    pods = node.pods("scree", SERVER).values()
    require("each pod by a claim of its own", all(p["spec"].get("resourceClaims") for p in pods))
    claims = node.get("resourceclaims", "-n", "scree")["items"]
    taken = sorted(r["device"] for c in claims for r in
                   c.get("status", {}).get("allocation", {}).get("devices", {}).get("results", []))
    require("what the claims were given", taken == ["accel0-0", "accel0-1", "accel0-2"], taken)
    ask_server(node, "cpu")
    show_lost_slice(node)
    say("# the pods of before, which know nothing of claims: the DeviceClass's extendedResourceName")
    remove_server(node)
    node.kubectl("apply", "-k", HERE / "server")
    settle(node, {"Running": 3, "Pending": 1})
    ask_server(node, "cpu")


def show_lost_slice(node):
    def count():
        return sum(len(s["spec"].get("devices", [])) for s in node.get("resourceslices")["items"])

    nodes.unplug()
    _, seconds = wait_for("no device in the slice", lambda: count() == 0, 30, 0.05)
    require("a lost device leaves the slice", True, f"{seconds:.2f} s later")
    nodes.plug()
    _, seconds = wait_for("three devices in the slice", lambda: count() == 3, 30, 0.05)
    require("and is in it again", True, f"{seconds:.2f} s after it came back")


SCENARIOS = [show_versions, install_plugin, install_server, lambda n: ask_server(n, "cpu"), show_doctor, show_access,
             show_emulated, lose_device, restart_kubelet, show_dra]


def main():
    folder, tools, tars = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    nodes.mount_private()
    node = nodes.Node(folder, tools)
    try:
        node.prepare()
        nodes.plug()
        node.start_runtime()
        for tar in tars:
            node.ctr("images", "import", tar)
        node.start_control()
        node.start_kubelet()
        node.start_proxy()
        wait_for("the node is ready", lambda: node.ok("kubectl", "wait", "--for=condition=Ready", "--timeout=1s",
                                                      f"node/{nodes.NAME}"), 120)
        for scenario in SCENARIOS:
            scenario(node)
            node.programs.check()
    except (Failure, OSError, KeyError, StopIteration) as failure:
        say(f"FAILED: {type(failure).__name__}: {failure}")
        for command in (("get", "pods", "-A", "-o", "wide"), ("get", "events", "-A")):
            if "apiserver" in node.programs.running:
                say(node.kubectl(*command, check=False)[-3000:])
        return 1
    finally:
        node.programs.stop_all()
    say("all as it should be")
    return 0


if __name__ == "__main__":
    sys.exit(main())
