"""The Helm chart on a node of a cluster: installed, upgraded while requests come, and removed."""
import json
import pathlib
import shutil
import tempfile

import cluster
from common import HERE, RESOURCE, Load, ask_url, require, say
from node import run, wait_for

CHART = HERE.parents[1] / "deploy/helm/scree"
# Run by Helm on what it has rendered: the stand-in for the NPU is no value of the chart.
STANDIN = """#!/bin/sh
cd "$(dirname "$0")" && cat >all.yaml && exec kubectl kustomize .
"""


def helm(node, *arguments):
    return run("helm", *arguments, env={**node.programs.environment, "KUBECONFIG": str(node.keys / "admin.conf")})


def ready(node, namespace, count):
    wait_for(f"{count} pods in {namespace}", lambda: node.phases(namespace) == {"Running": count}, 120)
    return node.phases(namespace)


def make_renderer(folder):
    standin = folder / "standin"
    shutil.copytree(HERE / "standin", standin)
    (folder / "kustomization.yaml").write_text(json.dumps({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": ["all.yaml"],
        "components": ["standin"]}))
    renderer = folder / "render"
    renderer.write_text(STANDIN)
    renderer.chmod(0o755)
    return renderer


def install(node):
    say("# the chart: helm install, the plugin and the server each in a namespace of its own")
    for name, level in (("npu", "privileged"), ("vision", "restricted")):
        node.kubectl("create", "namespace", name)
        node.kubectl("label", "namespace", name, f"pod-security.kubernetes.io/enforce={level}")
    with tempfile.TemporaryDirectory() as folder:
        helm(node, "install", "board", CHART, "-n", "npu", "--set", "server.enabled=false", "--post-renderer",
             make_renderer(pathlib.Path(folder)))
    _, seconds = wait_for("three shares on the node", lambda: node.shares(RESOURCE) == (3, 3), 120)
    require("the plugin's pod", True, f"{ready(node, 'npu', 1)}, shares {node.shares(RESOURCE)} after {seconds:.1f} s")
    helm(node, "install", "eyes", CHART, "-n", "vision", "--set", "plugin.enabled=false,server.replicas=2", "--wait",
         "--timeout", "120s")
    require("the server's pods, `restricted`", True, ready(node, "vision", 2))
    ask_url(node.service("vision", "eyes-server"), "the Service", "cpu")


def upgrade(node):
    say("# helm upgrade while requests come, and back")
    before = set(node.pods("vision"))
    load = Load(node.service("vision", "eyes-server"), 1)
    try:
        helm(node, "upgrade", "eyes", CHART, "-n", "vision", "--reuse-values", "--set",
             "server.options.log-level=debug", "--wait", "--timeout", "180s")
        ready(node, "vision", 2)
        after = set(node.pods("vision"))
        helm(node, "rollback", "eyes", "1", "-n", "vision", "--wait", "--timeout", "180s")
        ready(node, "vision", 2)
    finally:
        load.end()
    require("other pods", not before & after and not after & set(node.pods("vision")))
    require("no request failed", load.done and not load.failed, f"{load.done} answered, {len(load.failed)} failed "
            f"{load.failed[:2] or ''}")


def remove(node):
    say("# helm uninstall")
    for release, namespace in (("eyes", "vision"), ("board", "npu")):
        helm(node, "uninstall", release, "-n", namespace, "--wait")
        wait_for(f"no pods in {namespace}", lambda n=namespace: not node.get("pods", "-n", n)["items"], 60)
    left = node.kubectl("get", "all,configmap,networkpolicy,ingress,pdb", "-A", "-l", "app.kubernetes.io/managed-by=Helm",
                        "-o", "name")
    require("nothing is left", left == "", left)
    wait_for("no shares", lambda: node.shares(RESOURCE)[1] == 0, 60)
    require("the node offers none", True, node.shares(RESOURCE))


SCENARIOS = [cluster.start, install, upgrade, remove]
