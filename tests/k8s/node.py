"""A Kubernetes node in namespaces of its own: containerd, runc, etcd, the control plane, the real kubelet.

Runs as process 1 of its namespaces (tools/check_k8s makes them). All that it writes is in tmpfs mounted over
/run, /var/lib, /var/log and /dev, or in its folder; all that it starts ends with it.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import time
import urllib.request

NAME = "node"
ADDRESS = "10.99.0.2"
PODS = "10.244.0.0/24"
SERVICES = "10.96.0.0/16"
# Not null or zero, which every container may open: here a node is worth what the device controller says.
DEVICE = (10, 229)
STANDIN = pathlib.Path("/run/standin")
CNI = ("/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni")
MANIFESTS = pathlib.Path("/run/manifests")
ACCEL = pathlib.Path("/dev/accel/accel0")
CORES = ("fdab0000.npu", "fdac0000.npu", "fdad0000.npu")
# How much longer everything may take, in a machine that is emulated.
PATIENCE = int(os.environ.get("SCREE_CHECK_PATIENCE", "1"))
# What the kubelet and kube-proxy would set for the whole machine.
SETTINGS = ("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops",
            "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes")


class Failure(Exception):
    """What the test was to show is not so."""


def run(*command, check=True, errors=False, **more):
    """What the command prints, with `errors` also to stderr."""
    done = subprocess.run([str(c) for c in command], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT if errors else subprocess.PIPE, check=False, **more)
    if check and done.returncode != 0:
        raise Failure(f"{' '.join(str(c) for c in command)}: {(done.stderr or done.stdout).strip()[-800:]}")
    return done.stdout


def wait_for(what, test, seconds=60, every=0.2):
    """The first true value of test(), and how long it took."""
    began = time.monotonic()
    while True:
        value = test()
        if value:
            return value, time.monotonic() - began
        if time.monotonic() - began > seconds * PATIENCE:
            raise Failure(f"not within {seconds * PATIENCE} s: {what}")
        time.sleep(every)


# ---- the machine ------------------------------------------------------------------------------------

def mount_private():
    """Folders of the test's own where the machine's are."""
    run("mount", "--make-rprivate", "/")
    for folder in ("/run", "/var/lib", "/var/log"):
        run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", folder)
    settings = pathlib.Path("/run/settings")
    settings.mkdir()
    for name in SETTINGS:
        path = pathlib.Path("/proc/sys") / name
        if path.exists():
            copy = settings / name.replace("/", ".")
            copy.write_text(path.read_text())
            run("mount", "--bind", copy, path)


def mount_dev():
    """A /dev with little in it, and the stand-in for the NPU."""
    new = pathlib.Path("/run/dev")
    new.mkdir()
    run("mount", "-t", "tmpfs", "-o", "mode=755,dev", "tmpfs", new)
    for name in ("null", "zero", "full", "random", "urandom", "tty", "fuse", "kmsg"):
        if os.path.exists(f"/dev/{name}"):
            (new / name).touch()
            run("mount", "--bind", f"/dev/{name}", new / name)
    for name, kind, options in (("pts", "devpts", "newinstance,ptmxmode=0666"), ("shm", "tmpfs", "mode=1777"),
                                ("mqueue", "mqueue", "rw")):
        (new / name).mkdir()
        run("mount", "-t", kind, "-o", options, kind, new / name)
    (new / "ptmx").symlink_to("pts/ptmx")
    (new / "fd").symlink_to("/proc/self/fd")
    run("mount", "--move", new, "/dev")


def mount_cgroups():
    """The cgroups as seen from the group that this process was put into, which is the root now."""
    lines = [line.split(" - ") for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()]
    mounts = [(left.split()[4], right.split()[0], right.split()[2]) for left, right in lines
              if right.split()[0] in ("cgroup", "cgroup2")]
    for path, kind, options in mounts:
        controllers = [o for o in options.split(",") if o != "rw"]
        run("umount", path)
        run("mount", "-t", kind, *(["-o", ",".join(controllers)] if controllers and kind == "cgroup" else []),
            kind, path)
    if [kind for _, kind, _ in mounts] == ["cgroup2"]:
        root = pathlib.Path(mounts[0][0])
        for controller in (root / "cgroup.controllers").read_text().split():
            (root / "cgroup.subtree_control").write_text(f"+{controller}")
        return 2
    return 1


def make_network():
    """lo, and a bridge with the node's address and a default route that leads nowhere."""
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "node0", "type", "bridge")
    run("ip", "address", "add", f"{ADDRESS}/24", "dev", "node0")
    run("ip", "link", "set", "node0", "up")
    run("ip", "route", "add", "default", "via", "10.99.0.1", "dev", "node0")
    pathlib.Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    pathlib.Path("/proc/sys/net/ipv4/conf/all/route_localnet").write_text("1")


def plug(folder=STANDIN):
    """The stand-in device: sysfs as the driver rocket would show it, and a node that is not the driver's."""
    driver = folder / "sys/bus/platform/drivers/rocket"
    accel = folder / "sys/class/accel/accel0"
    driver.mkdir(parents=True, exist_ok=True)
    accel.mkdir(parents=True, exist_ok=True)
    for core in CORES:
        (driver / core).mkdir(exist_ok=True)
    if not (accel / "device").is_symlink():
        (accel / "device").symlink_to("../../../devices/platform/rknn")
    (accel / "dev").write_text(f"{DEVICE[0]}:{DEVICE[1]}\n")
    (folder / "host/dev").mkdir(parents=True, exist_ok=True)
    ACCEL.parent.mkdir(exist_ok=True)
    if not ACCEL.exists():
        os.mknod(ACCEL, 0o020660, os.makedev(*DEVICE))
        os.chmod(ACCEL, 0o660)


def unplug(folder=STANDIN):
    """The driver is taken away: no core, no accel device, no node."""
    ACCEL.unlink()
    shutil.rmtree(folder / "sys/class/accel/accel0")
    for core in CORES:
        (folder / "sys/bus/platform/drivers/rocket" / core).rmdir()


# ---- programs ---------------------------------------------------------------------------------------

class Programs:
    """What was started, by name, each with a log."""

    def __init__(self, folder, path):
        self.folder, self.running = folder, {}
        self.environment = {"PATH": path, "HOME": "/run", "LANG": "C.UTF-8"}

    def start(self, name, *command, **more):
        log = open(self.folder / f"{name}.log", "a", encoding="utf-8")
        self.running[name] = subprocess.Popen(
            [str(c) for c in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True, env={**self.environment, **more})
        log.close()

    def stop(self, name, seconds=20):
        process = self.running.pop(name)
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def stop_all(self):
        for name in reversed(list(self.running)):
            self.stop(name, 5)

    def check(self):
        for name, process in self.running.items():
            if process.poll() is not None:
                tail = (self.folder / f"{name}.log").read_text(errors="replace")[-1500:]
                raise Failure(f"{name} has ended with {process.returncode}:\n{tail}")


# ---- certificates and accounts ----------------------------------------------------------------------

ACCOUNTS = {  # name: (user, groups)
    "admin": ("admin", "system:masters"),
    "kubelet": (f"system:node:{NAME}", "system:nodes"),
    "scheduler": ("system:kube-scheduler", ""),
    "controllers": ("system:kube-controller-manager", ""),
    "proxy": ("system:kube-proxy", ""),
}


def make_accounts(folder):
    """A certificate authority, the API server's certificate, a client's for the kubelet, tokens."""
    def certificate(name, subject, extension):
        run("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / f"{name}.key", "-subj", subject,
            "-out", folder / f"{name}.csr")
        (folder / f"{name}.ext").write_text(extension)
        run("openssl", "x509", "-req", "-in", folder / f"{name}.csr", "-CA", folder / "ca.crt", "-CAkey",
            folder / "ca.key", "-CAcreateserial", "-days", "2", "-extfile", folder / f"{name}.ext",
            "-out", folder / f"{name}.crt")

    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=ca",
        "-keyout", folder / "ca.key", "-out", folder / "ca.crt")
    certificate("server", "/CN=kube-apiserver",
                "subjectAltName=DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,"
                f"IP:{ADDRESS},IP:127.0.0.1,IP:10.96.0.1\n")
    certificate("client", "/O=system:masters/CN=kube-apiserver", "extendedKeyUsage=clientAuth\n")
    run("openssl", "genrsa", "-out", folder / "accounts.key", "2048")
    tokens = {name: os.urandom(16).hex() for name in ACCOUNTS}
    (folder / "tokens.csv").write_text("".join(
        f'{tokens[n]},{user},{n},"{groups}"\n' for n, (user, groups) in ACCOUNTS.items()))
    for name in ACCOUNTS:
        (folder / f"{name}.conf").write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "it",
            "clusters": [{"name": "it", "cluster": {"server": f"https://{ADDRESS}:6443",
                                                    "certificate-authority": str(folder / "ca.crt")}}],
            "users": [{"name": "it", "user": {"token": tokens[name]}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}]}))


# ---- the node ---------------------------------------------------------------------------------------

CONTAINERD = """root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
address = "/run/containerd/containerd.sock"
"""
CONTAINERD_2 = CONTAINERD + """
[plugins."io.containerd.cri.v1.images"]
snapshotter = "overlayfs"
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "localhost/pause:1"
[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
cdi_spec_dirs = ["/etc/cdi", "/var/run/cdi"]
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["%s"]
conf_dir = "/run/cni"
[plugins."io.containerd.cri.v1.runtime".containerd]
default_runtime_name = "runc"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
"""
CONTAINERD_1 = CONTAINERD + """
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "localhost/pause:1"
restrict_oom_score_adj = true
enable_cdi = true
cdi_spec_dirs = ["/etc/cdi", "/var/run/cdi"]
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "%s"
conf_dir = "/run/cni"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
"""


def containerd_version(program):
    """(major, minor) of a containerd, (0, 0) if it does not say."""
    said = subprocess.run([str(program), "--version"], text=True, capture_output=True, check=False).stdout
    found = re.search(r" v?(\d+)\.(\d+)\.", said)
    return (int(found.group(1)), int(found.group(2))) if found else (0, 0)


def containerd_config(program, cni):
    """What containerd is to read, 1.7 or 2: they name their plugins differently."""
    if containerd_version(program) >= (2, 0):
        return "version = 3\n" + CONTAINERD_2 % cni
    return "version = 2\n" + CONTAINERD_1 % cni


class Node:
    """The programs of a node and of a control plane, and kubectl."""

    def __init__(self, folder, tools, containerd):
        self.folder, self.tools, self.containerd = folder, tools, containerd
        chosen = pathlib.Path("/run/bin")
        chosen.mkdir()
        for name in ("containerd", "containerd-shim-runc-v2", "ctr"):
            (chosen / name).symlink_to(containerd.parent / name)
        self.programs = Programs(folder / "logs", f"{chosen}:{tools}:{os.environ['PATH']}")
        (folder / "logs").mkdir(exist_ok=True)
        self.keys = pathlib.Path("/run/keys")
        self.keys.mkdir(mode=0o700)

    def prepare(self):
        mount_dev()
        self.cgroup_version = mount_cgroups()
        make_network()
        make_accounts(self.keys)

    def start_runtime(self):
        pathlib.Path("/run/cni").mkdir()
        pathlib.Path("/run/cni/10-bridge.conflist").write_text(json.dumps({
            "cniVersion": "1.0.0", "name": "pods", "plugins": [
                {"type": "bridge", "bridge": "pods0", "isGateway": True, "hairpinMode": True,
                 "ipam": {"type": "host-local", "ranges": [[{"subnet": PODS}]],
                          "routes": [{"dst": "0.0.0.0/0"}]}}]}))
        config = pathlib.Path("/run/containerd.toml")
        cni = next(f for f in CNI if os.path.isdir(f))
        config.write_text(containerd_config(self.containerd, cni))
        self.programs.start("containerd", "containerd", "--config", config)
        wait_for("containerd", lambda: self.ok("ctr", "version"))

    def start_control(self):
        keys, start = self.keys, self.programs.start
        start("etcd", "etcd", "--data-dir=/var/lib/etcd", "--listen-client-urls=http://127.0.0.1:2379",
              "--advertise-client-urls=http://127.0.0.1:2379", "--listen-peer-urls=http://127.0.0.1:2380")
        start("apiserver", "kube-apiserver", "--etcd-servers=http://127.0.0.1:2379", f"--advertise-address={ADDRESS}",
              f"--bind-address={ADDRESS}", f"--service-cluster-ip-range={SERVICES}", f"--client-ca-file={keys}/ca.crt",
              f"--tls-cert-file={keys}/server.crt", f"--tls-private-key-file={keys}/server.key",
              f"--token-auth-file={keys}/tokens.csv", "--authorization-mode=Node,RBAC",
              "--enable-admission-plugins=NodeRestriction", f"--service-account-key-file={keys}/accounts.key",
              f"--service-account-signing-key-file={keys}/accounts.key",
              "--service-account-issuer=https://kubernetes.default.svc",
              f"--kubelet-client-certificate={keys}/client.crt", f"--kubelet-client-key={keys}/client.key",
              "--kubelet-preferred-address-types=InternalIP", "--feature-gates=ResourceHealthStatus=true")
        wait_for("the API server", lambda: self.ok("kubectl", "get", "--raw", "/readyz"), 120)
        start("scheduler", "kube-scheduler", f"--kubeconfig={keys}/scheduler.conf",
              f"--authentication-kubeconfig={keys}/scheduler.conf", f"--authorization-kubeconfig={keys}/scheduler.conf",
              "--leader-elect=false")
        start("controllers", "kube-controller-manager", f"--kubeconfig={keys}/controllers.conf",
              f"--authentication-kubeconfig={keys}/controllers.conf",
              f"--authorization-kubeconfig={keys}/controllers.conf", f"--root-ca-file={keys}/ca.crt",
              f"--service-account-private-key-file={keys}/accounts.key", "--use-service-account-credentials",
              "--leader-elect=false")

    def start_kubelet(self):
        self.run_kubelet({"authentication": {"x509": {"clientCAFile": f"{self.keys}/ca.crt"}}},
                         f"--kubeconfig={self.keys}/kubelet.conf")

    def start_standalone(self):
        """The kubelet without an API server: pods are files in MANIFESTS."""
        self.run_kubelet({"staticPodPath": str(MANIFESTS), "readOnlyPort": 10255, "authorization": {"mode": "AlwaysAllow"},
                          "authentication": {"webhook": {"enabled": False}}})

    def run_kubelet(self, more, *options):
        config = pathlib.Path("/run/kubelet.json")
        config.write_text(json.dumps({
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
            "cgroupDriver": "cgroupfs", "failCgroupV1": False, "failSwapOn": False,
            "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock", "clusterDNS": ["10.96.0.10"],
            "resolvConf": "", "localStorageCapacityIsolation": False, "imageGCHighThresholdPercent": 100,
            "evictionHard": {"memory.available": "50Mi"}, "enforceNodeAllocatable": [],
            "nodeStatusUpdateFrequency": "1s", "syncFrequency": "5s", "oomScoreAdj": 0,
            "featureGates": {"ResourceHealthStatus": True}, **more}))
        self.programs.start("kubelet", "kubelet", f"--config={config}", *options, f"--hostname-override={NAME}",
                            f"--node-ip={ADDRESS}", "--v=2")

    def start_proxy(self):
        config = pathlib.Path("/run/proxy.json")
        config.write_text(json.dumps({
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration", "mode": "nftables",
            "clientConnection": {"kubeconfig": f"{self.keys}/proxy.conf"}, "hostnameOverride": NAME,
            "clusterCIDR": PODS, "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s",
                                               "tcpCloseWaitTimeout": "0s"}, "oomScoreAdj": 0}))
        self.programs.start("proxy", "kube-proxy", f"--config={config}")

    def ok(self, *command):
        self.programs.check()
        return subprocess.run(self.full(command), env=self.programs.environment, check=False,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0

    def http(self, url):
        """Whether the URL answers 200."""
        self.programs.check()
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def ready(self):
        return self.ok("kubectl", "wait", "--for=condition=Ready", "--timeout=1s", f"node/{NAME}")

    def full(self, command):
        if command[0] == "kubectl":
            return ["kubectl", "--kubeconfig", str(self.keys / "admin.conf"), *(str(c) for c in command[1:])]
        return [str(c) for c in command]

    def ctr(self, *arguments):
        return run("ctr", "-n", "k8s.io", *arguments, env=self.programs.environment)

    def kubectl(self, *arguments, check=True, **more):
        return run(*self.full(["kubectl", *arguments]), check=check, env=self.programs.environment, **more)

    def get(self, *arguments):
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def pods(self, namespace, selector=""):
        """{name: pod} of those that are not on their way out."""
        items = self.get("pods", "-n", namespace, *(["-l", selector] if selector else []))["items"]
        return {p["metadata"]["name"]: p for p in items if "deletionTimestamp" not in p["metadata"]}

    def phases(self, namespace, selector=""):
        """How many pods are in which phase; one that is not ready is not Running."""
        count = {}
        for pod in self.pods(namespace, selector).values():
            phase = pod["status"].get("phase", "Pending")
            ready = any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))
            phase = "Starting" if phase == "Running" and not ready else phase
            count[phase] = count.get(phase, 0) + 1
        return count

    def shares(self, resource):
        """(capacity, allocatable) of the resource on the node."""
        status = self.get("node", NAME)["status"]
        return tuple(int(status.get(part, {}).get(resource, 0)) for part in ("capacity", "allocatable"))

    def service(self, namespace, name):
        service = self.get("service", name, "-n", namespace)["spec"]
        return f"http://{service['clusterIP']}:{service['ports'][0]['port']}"


def ask(url, body, seconds=20):
    """(answer, headers) of a picture sent to /infer."""
    request = urllib.request.Request(f"{url}/infer", data=body, headers={"Content-Type": "image/jpeg"})
    with urllib.request.urlopen(request, timeout=seconds * PATIENCE) as answer:
        return json.load(answer), dict(answer.headers)
