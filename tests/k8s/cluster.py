"""scree on a node of a cluster: shares, pods without rights, a lost device, a restarted kubelet, DRA."""
import json
import time

import node as nodes
import podresources
from common import HERE, RESOURCE, Load, ask_url, require, restart_under_load, say, show_plugin, show_programs
from node import wait_for

SHARES = ["accel0-0", "accel0-1", "accel0-2"]
SERVER = "app.kubernetes.io/name=scree-server"


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
    say("# a node of a cluster")
    show_programs(node, "kubelet", "containerd", "runc", "etcd")
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
    show_plugin()


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
    given = podresources.allocated(RESOURCE).values()
    require("the kubelet's pod-resources socket: a share each", sorted(given) == [[s] for s in SHARES], sorted(given))


def ask_server(node, device):
    ask_url(node.service("scree", "scree-server"), "the Service", device)


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


def restart_kubelet(node):
    say("# the kubelet is restarted while requests come")
    before = set(node.pods("scree", SERVER))

    def settled():
        wait_for("the node has its shares", lambda: node.shares(RESOURCE) == (3, 3), 60)
        wait_for("the node is ready", node.ready, 60)

    restart_under_load(node, node.start_kubelet, node.service("scree", "scree-server"), settled)
    require("the same pods run", set(node.pods("scree", SERVER)) == before)


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
    require("what the claims were given", taken == SHARES, taken)
    given = podresources.claimed().values()
    require("the kubelet's pod-resources socket says so, too", sorted(given) == [[s] for s in SHARES], sorted(given))
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


def start(node):
    node.start_control()
    node.start_kubelet()
    node.start_proxy()
    wait_for("the node is ready", node.ready, 120)


SCENARIOS = [start, show_versions, install_plugin, install_server, lambda n: ask_server(n, "cpu"), show_doctor, show_access,
             show_emulated, lose_device, restart_kubelet, show_dra]
