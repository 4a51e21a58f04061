#!/usr/bin/env python3
"""The chart and the bases at a real API server, which has the last word on what objects are and who may have them.

usage: apiserver.py ROOT

etcd and kube-apiserver run on ports of this machine's own address, as any user, without a kubelet: objects are made and
nothing is started. Needs etcd, openssl, and in SCREE_KUBE_TOOLS or PATH kube-apiserver, kubectl and helm
(tests/deploy/get_tools); without them it exits with 77: skipped, with the reason.
"""
import json
import os
import pathlib
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import schemas

ROOT = pathlib.Path(sys.argv[1]).resolve()
CHART = ROOT / "deploy/helm/scree"
BASES = ROOT / "deploy/kubernetes"
PATH = os.pathsep.join([os.environ.get("SCREE_KUBE_TOOLS", ""), os.environ["PATH"]])
NEEDED = ("etcd", "openssl", "kube-apiserver", "kubectl", "helm")
# What needs something of an operator: base, and the CRD that must be there.
OPTIONAL = {"monitoring": "servicemonitors.monitoring.coreos.com", "kserve": "servingruntimes.serving.kserve.io",
            "nfd": "nodefeaturerules.nfd.k8s-sigs.io"}
SETTINGS = {"server": {"plugin.enabled": "false", "server.ingress.enabled": "true", "server.autoscaling.enabled": "true",
                       "server.models.claim": "models", "server.tokenSecret": "tokens", "dashboards.enabled": "true"},
            "plugin": {"server.enabled": "false"}}
failures = []


def expect(what, good, seen=""):
    print(("ok " if good else "FAIL ") + what + (f": {seen}" if seen and not good else ""), flush=True)
    if not good:
        failures.append(what)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Server:
    """etcd and the API server in a folder, with an administrator's account."""

    def __init__(self, folder):
        self.folder, self.running = folder, []
        self.environment = {**os.environ, "PATH": PATH, "HOME": str(folder), "KUBECONFIG": str(folder / "admin.conf")}

    def start(self, name, *arguments):
        with open(self.folder / f"{name}.log", "w", encoding="utf-8") as log:
            self.running.append(subprocess.Popen([name, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                 env=self.environment))

    def begin(self):
        client, peer, port = free_port(), free_port(), free_port()
        key, token = self.folder / "accounts.key", os.urandom(16).hex()
        subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, stderr=subprocess.DEVNULL)
        (self.folder / "tokens.csv").write_text(f'{token},admin,admin,"system:masters"\n')
        (self.folder / "admin.conf").write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "it",
            "clusters": [{"name": "it", "cluster": {"server": f"https://127.0.0.1:{port}",
                                                    "insecure-skip-tls-verify": True}}],
            "users": [{"name": "it", "user": {"token": token}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}]}))
        self.start("etcd", f"--data-dir={self.folder}/etcd", f"--listen-client-urls=http://127.0.0.1:{client}",
                   f"--advertise-client-urls=http://127.0.0.1:{client}", f"--listen-peer-urls=http://127.0.0.1:{peer}",
                   f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
                   f"--initial-cluster=default=http://127.0.0.1:{peer}")
        self.start("kube-apiserver", f"--etcd-servers=http://127.0.0.1:{client}", "--bind-address=127.0.0.1",
                   f"--secure-port={port}", f"--cert-dir={self.folder}/certificates",
                   "--service-cluster-ip-range=10.96.0.0/16", "--authorization-mode=RBAC",
                   f"--token-auth-file={self.folder}/tokens.csv", f"--service-account-key-file={key}",
                   f"--service-account-signing-key-file={key}", "--endpoint-reconciler-type=none",
                   "--service-account-issuer=https://kubernetes.default.svc", "--allow-privileged=true")
        for _ in range(600):
            if any(process.poll() is not None for process in self.running):
                break
            if self.run("kubectl", "get", "--raw", "/readyz").returncode == 0:
                return
            time.sleep(0.5)
        raise SystemExit("FAIL the API server does not start:\n" +
                         (self.folder / "kube-apiserver.log").read_text()[-2000:])

    def end(self):
        for process in reversed(self.running):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def run(self, *command, **more):
        return subprocess.run([str(c) for c in command], text=True, capture_output=True, check=False,
                              env=self.environment, **more)

    def good(self, what, *command, **more):
        """The command does it, and there is nothing to warn of."""
        done = self.run(*command, **more)
        expect(what, done.returncode == 0 and "warning" not in (done.stdout + done.stderr).lower(),
               (done.stdout + done.stderr).strip()[-600:])
        return done.stdout

    def get(self, *what):
        return json.loads(self.run("kubectl", "get", *what, "-o", "json").stdout)["items"]


# ---- what is tried ----------------------------------------------------------------------------------

def make_kinds(server):
    """The operators' kinds, of those CRDs that are here; returns the names of what there is."""
    for path in schemas.find_crds():
        server.good(f"kinds of {os.path.basename(path)}", "kubectl", "apply", "--server-side", "-f", path)
    server.run("kubectl", "wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    return {crd["metadata"]["name"] for crd in server.get("crd")}


def make_namespaces(server, levels):
    for name, level in levels.items():
        server.good(f"namespace {name}", "kubectl", "create", "namespace", name)
        # Enforced for pods; of a Deployment whose pods would not be let in, a warning is all that there is.
        labels = [f"pod-security.kubernetes.io/{mode}={level}" for mode in ("enforce", "warn")]
        server.good(f"Pod Security: {level}", "kubectl", "label", "namespace", name, *labels)


def install(server, release, namespace, settings):
    options = [option for name, value in settings.items() for option in ("--set", f"{name}={value}")]
    server.good(f"helm install {release}", "helm", "install", release, CHART, "-n", namespace, *options)
    server.good("helm upgrade, nothing changed", "helm", "upgrade", release, CHART, "-n", namespace, *options)
    manifest = server.run("helm", "get", "manifest", release, "-n", namespace).stdout
    # 1 is a difference: something that the API server changes, and that a GitOps tool would forever set right.
    done = server.run("kubectl", "diff", "-f", "-", input=manifest)
    expect("what is there is what was asked for", done.returncode == 0, done.stdout[-600:])


def template(server, kind, namespace):
    """The pod that the one object of the kind makes, to be made by hand."""
    item = server.get(kind, "-n", namespace)[0]["spec"]["template"]
    item["metadata"] = {"name": "by-hand", "labels": item["metadata"]["labels"]}
    return {"apiVersion": "v1", "kind": "Pod", **item}


def admitted(server, pod, namespace):
    """(whether the pod may be, what is said of it); none is made."""
    done = server.run("kubectl", "create", "--dry-run=server", "-n", namespace, "-f", "-", input=json.dumps(pod))
    return done.returncode == 0, done.stdout + done.stderr


def check_pods(server):
    """Pod Security's own opinion of the pods."""
    pod = template(server, "deployment", "strict")
    good, said = admitted(server, pod, "strict")
    expect("`restricted` lets the server's pod in", good, said)
    pod["spec"]["containers"][0]["securityContext"]["capabilities"] = {}
    good, said = admitted(server, pod, "strict")
    expect("and not one with more rights", not good and "unrestricted capabilities" in said, said)
    pod = template(server, "daemonset", "npu")
    good, said = admitted(server, pod, "npu")
    expect("`privileged` lets the plugin's pod in", good, said)
    pod["spec"]["serviceAccountName"] = template(server, "deployment", "strict")["spec"]["serviceAccountName"]
    good, said = admitted(server, pod, "strict")
    expect("`restricted` does not: host paths and user 0 are all that is against it", not good and
           "hostPath" in said and "runAsNonRoot" in said and "capabilities" not in said and
           "allowPrivilegeEscalation" not in said and "seccomp" not in said, said)


def uninstall(server, release, namespace):
    server.good(f"helm uninstall {release}", "helm", "uninstall", release, "-n", namespace)
    left = server.run("kubectl", "get", "all,configmap,networkpolicy,ingress,pdb,clusterrole,clusterrolebinding", "-A",
                      "-l", f"app.kubernetes.io/instance={release}", "-o", "name").stdout
    expect("nothing of it is left", left == "", left)


# What is replaced: privileged pods with the node's folders, and a Service that others know.
OLD = """apiVersion: apps/v1
kind: Deployment
metadata: {name: npu-inference, namespace: ml}
spec:
  strategy: {type: Recreate}
  selector: {matchLabels: {app.kubernetes.io/name: npu-inference}}
  template:
    metadata: {labels: {app.kubernetes.io/name: npu-inference}}
    spec:
      containers:
        - name: inference
          image: npu-inference:1
          ports: [{name: http, containerPort: 8080}]
          securityContext: {privileged: true}
          volumeMounts: [{name: accel, mountPath: /dev/accel}]
      volumes: [{name: accel, hostPath: {path: /dev/accel}}]
---
apiVersion: v1
kind: Service
metadata: {name: npu-inference, namespace: ml}
spec:
  selector: {app.kubernetes.io/name: npu-inference}
  ports: [{name: http, port: 80, targetPort: http}]
"""


def check_moving(server):
    """The steps of the guide, as they are written there, from the old service to the new."""
    text = (ROOT / "docs/kubernetes.md").read_text().split("\n## Moving from the Python service\n")[1].split("\n## ")[0]
    steps = [shlex.split(line) for line in re.findall(r"^       ((?:helm|kubectl) .*)$", text, re.M)]
    expect("the guide has steps", len(steps) >= 7, steps)
    server.good("the old namespace", "kubectl", "create", "namespace", "ml")
    server.good("the old service", "kubectl", "apply", "-f", "-", input=OLD)
    for step in steps:
        server.good(f"step: {' '.join(step)[:70]}", *step, cwd=ROOT)
    spec = server.get("deployment", "-n", "ml")[0]["spec"]
    labels, ports = spec["template"]["metadata"]["labels"], spec["template"]["spec"]["containers"][0]["ports"]
    service = next(s for s in server.get("service", "-n", "ml") if s["metadata"]["name"] == "npu-inference")["spec"]
    expect("the old Service leads to the new pods", service["selector"].items() <= labels.items() and
           service["ports"][0]["targetPort"] in [port["name"] for port in ports], service)
    expect("there are two", spec["replicas"] == 2 and len(server.get("deployment", "-n", "ml")) == 1)
    good, said = admitted(server, template(server, "deployment", "ml"), "ml")
    expect("the namespace is `restricted`, and they may be there", good and server.get("namespace", "-l",
           "pod-security.kubernetes.io/enforce=restricted,kubernetes.io/metadata.name=ml") != [], said)
    uninstall(server, "vision", "ml")
    uninstall(server, "scree", "scree-system")


def check_bases(server, kinds):
    for base in (".", "dra", *OPTIONAL):
        if OPTIONAL.get(base, "") not in {"", *kinds}:
            print(f"skipped base {base}: no description of its operator's kinds; see schemas.py")
            continue
        folder = BASES / base
        namespace = ["-n", "strict"] if base == "kserve" else []
        apply = ["kubectl", "apply", "--server-side", "--force-conflicts", "--validate=strict", *namespace, "-k", folder]
        server.good(f"base {base}", *apply)
        done = server.run("kubectl", "diff", "--server-side", "--force-conflicts", *namespace, "-k", folder)
        expect("applied again it changes nothing", done.returncode == 0, (done.stdout + done.stderr)[-600:])
    done = server.run("kubectl", "apply", "--validate=strict", "--dry-run=server", "-f", "-", input=json.dumps(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "wrong", "namespace": "strict"}, "dta": {}}))
    expect("a wrong field is an error", done.returncode != 0 and 'unknown field "dta"' in done.stderr, done.stderr)


def main():
    lacking = [name for name in NEEDED if not shutil.which(name, path=PATH)]
    if lacking:
        print(f"skipped: no {', '.join(lacking)}")
        return 77
    folder = pathlib.Path(tempfile.mkdtemp(prefix="scree-api-"))
    server = Server(folder)
    try:
        server.begin()
        print(server.run("kubectl", "version").stdout.strip().replace("\n", ", "))
        kinds = make_kinds(server)
        make_namespaces(server, {"npu": "privileged", "strict": "restricted"})
        operator = {f"{part}.serviceMonitor.enabled": "true" for part in SETTINGS} | {"prometheusRule.enabled": "true"}
        more = operator if OPTIONAL["monitoring"] in kinds else {}
        install(server, "eyes", "strict", {**SETTINGS["server"], **more})
        install(server, "board", "npu", {**SETTINGS["plugin"], **more})
        check_pods(server)
        uninstall(server, "eyes", "strict")
        uninstall(server, "board", "npu")
        check_moving(server)
        check_bases(server, kinds)
    finally:
        server.end()
        shutil.rmtree(folder)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
