"""What the kubelet's socket for monitoring says of devices: v1.PodResourcesLister, asked with curl."""
import pathlib
import subprocess
import sys

import node as nodes

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "plugin"))
from wire import pick  # noqa: E402

SOCKET = "/var/lib/kubelet/pod-resources/kubelet.sock"


def call(method):
    """The answer to a request without fields."""
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--fail", "--max-time", "10", "--http2-prior-knowledge", "--unix-socket",
         SOCKET, "--header", "content-type: application/grpc", "--header", "te: trailers", "--data-binary", "@-",
         f"http://localhost/v1.PodResourcesLister/{method}"], input=bytes(5), capture_output=True, check=False)
    if done.returncode != 0 or len(done.stdout) < 5:
        raise nodes.Failure(f"{method}: {done.stderr.decode().strip() or 'no message'}")
    return done.stdout[5:5 + int.from_bytes(done.stdout[1:5], "big")]


def ids(owner, number, resource):
    """Devices of the resource in the ContainerDevices of a message."""
    return sorted(name.decode() for device in pick(owner, number) if pick(device, 1) == [resource.encode()]
                  for name in pick(device, 2))


def allocatable(resource):
    """The devices that the kubelet would give to pods."""
    return ids(call("GetAllocatableResources"), 1, resource)


def allocated(resource):
    """{pod: devices} of the pods that have any."""
    found = {}
    for pod in pick(call("List"), 1):
        devices = sorted(i for container in pick(pod, 3) for i in ids(container, 2, resource))
        if devices:
            found[pick(pod, 1)[0].decode()] = devices
    return found


def claimed():
    """{pod: devices} of the pods that have some by claims."""
    found = {}
    for pod in pick(call("List"), 1):
        devices = sorted(pick(claim, 4)[0].decode() for container in pick(pod, 3)
                         for resource in pick(container, 5) for claim in pick(resource, 4))
        if devices:
            found[pick(pod, 1)[0].decode()] = devices
    return found
