"""scree on a kubelet alone: no API server, pods are files in a folder, the kubelet's own sockets tell what it did."""
import json
import pathlib
import time
import urllib.request

import node as nodes
import podresources
from common import HERE, RESOURCE, ask_url, require, restart_under_load, say, show_plugin, show_programs
from node import wait_for

SHARES = ["accel0-0", "accel0-1", "accel0-2"]
POD = """apiVersion: v1
kind: Pod
metadata:
  name: %s
  namespace: %s
  annotations: {attempt: "%d"}
spec:
%s
"""
OPEN = """  containers:
  - name: open
    image: localhost/pause:1
    imagePullPolicy: Never
    command: [/open, /dev/accel/accel0]
    securityContext: {runAsUser: 65532, runAsNonRoot: true, allowPrivilegeEscalation: false,
      capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}}
    resources: {limits: {npu.rockchip.com/rk3588: %d}}
  terminationGracePeriodSeconds: 0"""


def put(name, namespace, spec, attempt=1):
    """A pod for the kubelet: a file that is there all at once. Its uid is a digest of what is in it."""
    new = nodes.MANIFESTS.parent / f"{name}.new"
    new.write_text(POD % (name, namespace, attempt, spec))
    new.rename(nodes.MANIFESTS / f"{name}.yaml")


def take(node, name):
    (nodes.MANIFESTS / f"{name}.yaml").unlink()
    wait_for(f"{name} is gone", lambda: find(name) is None and not processes(node, name), 60)


def processes(node, name):
    """Numbers of the processes of the pod's containers, as containerd has them."""
    found = []
    running = dict(line.split()[:2] for line in node.ctr("tasks", "ls").splitlines()[1:] if " RUNNING" in line)
    for container in node.ctr("containers", "ls", "-q", f'labels."io.kubernetes.pod.name"=={name}-{nodes.NAME}').split():
        try:
            labels = json.loads(node.ctr("containers", "info", container))["Labels"]
        except nodes.Failure:
            continue  # it went between the two questions
        if container in running and labels["io.cri-containerd.kind"] == "container":
            found.append((container, int(running[container])))
    return found


def find(name):
    """The pod as the kubelet tells of it, or None."""
    with urllib.request.urlopen(f"http://{nodes.ADDRESS}:10255/pods", timeout=10) as answer:
        pods = json.load(answer).get("items") or []
    return next((p for p in pods if p["metadata"]["name"] == f"{name}-{nodes.NAME}"), None)


def phase(name):
    """Running once it is ready; phase, reason and message if it has failed."""
    status = (find(name) or {}).get("status", {})
    if status.get("phase") == "Failed":
        return f"Failed, {status.get('reason')}: {status.get('message')}"
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", []))
    return "Running" if ready else status.get("phase", "unknown")


def settle(name, seconds=60):
    wait_for(f"{name} runs", lambda: phase(name) == "Running", seconds)
    require(f"the pod {name}", True, "Running")


def refused(name):
    """What the kubelet says of a pod that it does not take."""
    wait_for(f"{name} is refused", lambda: phase(name).startswith("Failed"), 60)
    return phase(name)


def health_of(name):
    return [r.get("health") for c in find(name)["status"].get("containerStatuses", [])
            for resource in c.get("allocatedResourcesStatus", []) for r in resource.get("resources", [])]


def log_of(name, namespace):
    folders = pathlib.Path("/var/log/pods").glob(f"{namespace}_{name}-{nodes.NAME}_*/*/*.log")
    newest = max(folders, key=lambda path: path.stat().st_mtime, default=None)
    return [line.split(" ", 3)[3] for line in newest.read_text().splitlines()] if newest else []


def template(node, base, kind):
    """What the kustomize base has below `template:` of its one object of this kind, for a pod without an account."""
    objects = node.kubectl("kustomize", HERE / base).split("\n---\n")
    lines = next(o for o in objects if f"\nkind: {kind}\n" in o).splitlines()
    spec = []
    for line in lines[lines.index("    spec:") + 1:]:
        if not line.startswith("      "):
            break
        if not line.startswith("      serviceAccountName:"):
            spec.append(line[4:])
    return "\n".join(spec)


# ---- scenarios --------------------------------------------------------------------------------------

def start(node):
    nodes.MANIFESTS.mkdir()
    node.start_standalone()
    wait_for("the kubelet", lambda: node.http(f"http://{nodes.ADDRESS}:10255/healthz"), 60)
    say("# a kubelet alone: no API server, pods are files")
    show_programs(node, "kubelet", "containerd", "runc")
    say(f"  cgroup v{node.cgroup_version}")


def start_plugin(node):
    say("# the plugin as a static pod: what the DaemonSet of deploy/kubernetes/plugin has")
    put("plugin", "scree-system", template(node, "plugin", "DaemonSet"))
    _, seconds = wait_for("three shares", lambda: podresources.allocatable(RESOURCE) == SHARES, 120)
    require("the kubelet's pod-resources socket: allocatable", True, f"{SHARES} after {seconds:.1f} s")
    settle("plugin")
    show_plugin()


def start_server(node):
    say("# the server as a static pod: what the Deployment of deploy/kubernetes/server has")
    put("server", "scree", template(node, "server", "Deployment"))
    settle("server")
    require("its share, by pod-resources", podresources.allocated(RESOURCE) == {f"server-{nodes.NAME}": SHARES[:1]},
            podresources.allocated(RESOURCE))
    [(container, number)] = processes(node, "server")
    environment = pathlib.Path(f"/proc/{number}/environ").read_text().split("\0")
    found = sorted(e for e in environment if e.startswith("SCREE_"))
    require("its environment", found == ["SCREE_INSTANCES=1", "SCREE_NPUS=accel0"], " ".join(found))
    given = json.loads(node.ctr("containers", "info", container))["Spec"]["linux"]["devices"]
    devices = [(d["path"], d["major"], d["minor"], f"{d['fileMode'] & 0o777:o}") for d in given]
    require("its devices, by the CDI specification", devices == [("/dev/accel/accel0", *nodes.DEVICE, "666")], devices)
    ask_url(url_of("server"), "the pod", "cpu")


def url_of(name):
    return f"http://{find(name)['status']['podIP']}:8080"


def show_access(node):
    put("open", "scree", OPEN % 1)
    settle("open")
    wait_for("what it says", lambda: log_of("open", "scree"), 20)
    require("user 65532 opens the device", log_of("open", "scree") == ["open as user 65532: yes"], log_of("open", "scree"))


def show_refusal(node):
    say("# a pod beyond the shares")
    put("greedy", "scree", OPEN % 2)
    require("two shares of the one that is left", RESOURCE in refused("greedy"), refused("greedy"))
    require("the others have what they had", podresources.allocated(RESOURCE) ==
            {f"open-{nodes.NAME}": SHARES[1:2], f"server-{nodes.NAME}": SHARES[:1]}, podresources.allocated(RESOURCE))
    take(node, "open")
    time.sleep(10)
    require("a share is free again; the pod is not tried again", phase("greedy").startswith("Failed"))
    put("greedy", "scree", OPEN % 2, 2)
    settle("greedy")
    require("its file changed", podresources.allocated(RESOURCE)[f"greedy-{nodes.NAME}"] == SHARES[1:],
            podresources.allocated(RESOURCE))


def lose_device(node):
    say("# the device is lost, and comes back")
    wait_for("healthy in the pod's status", lambda: health_of("server") == ["Healthy"], 60)
    began = time.monotonic()
    nodes.unplug()
    wait_for("nothing allocatable", lambda: podresources.allocatable(RESOURCE) == [], 30, 0.02)
    require("pod-resources: nothing allocatable", True, f"{time.monotonic() - began:.2f} s later")
    wait_for("unhealthy in the pod's status", lambda: health_of("server") == ["Unhealthy"], 60, 0.02)
    require("allocatedResourcesStatus of the pod, at the kubelet", True,
            f"{health_of('server')} {time.monotonic() - began:.2f} s later")
    require("the pod goes on", phase("server") == "Running", phase("server"))
    ask_url(url_of("server"), "the pod", "cpu")
    put("late", "scree", OPEN % 1)
    require("a pod that comes now", RESOURCE in refused("late"), refused("late"))
    take(node, "late")
    began = time.monotonic()
    nodes.plug()
    wait_for("all allocatable", lambda: podresources.allocatable(RESOURCE) == SHARES, 60, 0.02)
    require("pod-resources: allocatable again", True, f"{time.monotonic() - began:.2f} s after it came back")
    wait_for("healthy in the pod's status", lambda: health_of("server") == ["Healthy"], 60, 0.02)
    require("allocatedResourcesStatus", True, f"{health_of('server')} {time.monotonic() - began:.2f} s after")


def restart_kubelet(node):
    say("# the kubelet is restarted while requests come")
    before, had = processes(node, "server"), podresources.allocated(RESOURCE)

    def settled():
        wait_for("the kubelet", lambda: node.http(f"http://{nodes.ADDRESS}:10255/healthz"), 60)
        wait_for("the server is ready", lambda: phase("server") == "Running", 60)
        wait_for("three shares", lambda: podresources.allocatable(RESOURCE) == SHARES, 60)

    restart_under_load(node, node.start_standalone, url_of("server"), settled)
    require("the same process answers", processes(node, "server") == before)
    require("the same shares", podresources.allocated(RESOURCE) == had, had)


def restart_plugin(node):
    say("# the plugin is taken away, and comes back")
    take(node, "plugin")
    wait_for("nothing allocatable", lambda: podresources.allocatable(RESOURCE) == [], 30)
    require("nothing is offered; the pods go on", phase("server") == "Running", phase("server"))
    put("plugin", "scree-system", template(node, "plugin", "DaemonSet"))
    wait_for("all allocatable", lambda: podresources.allocatable(RESOURCE) == SHARES, 60)
    require("offered again", True, SHARES)
    for name in ("greedy", "server"):
        take(node, name)
    require("files taken away: the shares are free", podresources.allocated(RESOURCE) == {})


SCENARIOS = [start, start_plugin, start_server, show_access, show_refusal, lose_device, restart_kubelet, restart_plugin]
