#!/usr/bin/env python3
"""What is deployed to Kubernetes: chart, bases, alerts and dashboards, as far as the tools here go.

usage: manifests.py ROOT

Always: every option and metric that is named exists; every value is described by the schema and is used.
With helm: each value changes what is rendered; the bases are what the chart gives; lint is clean; a package of the
chart renders the same. With kustomize or kubectl: the bases can be built. With kubeconform and a description of
Kubernetes (schemas.py): every object is as it is described. tests/deploy/get_tools makes all of these; they are looked
for in SCREE_KUBE_TOOLS and PATH.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import schemas

ROOT = pathlib.Path(sys.argv[1])
CHART = ROOT / "deploy/helm/scree"
BASES = ROOT / "deploy/kubernetes"
VERSION = "1.37.0"
failures = []


def fail(text):
    failures.append(text)
    print(f"FAIL {text}")


def skip(what, reason):
    print(f"skipped {what}: {reason}")


def tool(name):
    path = os.pathsep.join([os.environ.get("SCREE_KUBE_TOOLS", ""), os.environ["PATH"]])
    return shutil.which(name, path=path)


def yaml_module():
    try:
        import yaml
        return yaml
    except ImportError:
        return None


# ---- names ------------------------------------------------------------------------------------------

def source(pattern):
    return "".join(p.read_text() for p in sorted(ROOT.glob(pattern)))


def check_options():
    """Arguments in the manifests are options of the programs."""
    plugin = set(re.findall(r'^(?:TEXT|NUMBER|FLAG)\("([\w-]+)"', source("src/plugin/options.inc"), re.M))
    server = set(re.findall(r'"([\w-]+)", (?:\'.\'|0),', source("src/serve/options.inc")))
    for name, known in (("plugin", plugin), ("server", server)):
        text = (CHART / f"templates/{name}.yaml").read_text()
        used = set(re.findall(r"^ +- --([\w-]+)", text, re.M))
        for option in sorted(used - known):
            fail(f"{name}: there is no option --{option}")
        if not used:
            fail(f"{name}: no options found")
    for option in re.findall(r"^    ([\w-]+):", re.search(r"\n  options:\n((?:    .*\n)+)",
                             (CHART / "values.yaml").read_text()).group(1), re.M):
        if option not in server:
            fail(f"values: there is no option --{option}")
    print(f"options: {len(plugin)} of the plugin, {len(server)} of the server")


def check_metrics():
    """Alerts, dashboards and the autoscaler ask for metrics that there are."""
    known = set(re.findall(r'"(npu_\w+)"', source("src/serve/*.inc") + source("src/plugin/*.c")))
    text = source("deploy/helm/scree/templates/*.yaml") + source("deploy/helm/scree/*/*.json") + source(
        "deploy/helm/scree/alerts/*.yml")
    used = set(re.findall(r"\bnpu_\w+", text))
    for name in sorted(used):
        if re.sub(r"_(bucket|sum|count)$", "", name) not in known:
            fail(f"there is no metric {name}")
    print(f"metrics: {len(used)} used of {len(known)}")
    for path in sorted((CHART / "dashboards").glob("*.json")):
        json.loads(path.read_text())


# ---- values -----------------------------------------------------------------------------------------

def leaves(value, schema, path=()):
    """(path, value, schema) of each value that is not itself a group of values."""
    if isinstance(value, dict) and schema.get("properties"):
        for key, inner in value.items():
            if key not in schema["properties"]:
                fail(f"value {'.'.join(path + (key,))} is not in the schema")
                continue
            yield from leaves(inner, schema["properties"][key], path + (key,))
    else:
        yield path, value, schema


def changed(path, value, schema):
    """Another value that the schema allows, as text for --set-json."""
    if "enum" in schema:
        return next(v for v in schema["enum"] if v != value)
    kind = schema["type"]
    if kind == "boolean":
        return not value
    if kind in ("integer", "number") or isinstance(kind, list):
        return value + 1 if value + 1 <= schema.get("maximum", 1e9) else value - 1
    if path[0] == "prometheusRule":
        return {"limits": {"ScreeFails": 0.25}, "without": ["ScreeFails"]}[path[-1]]
    if kind == "array":
        return [{"key": "x", "operator": "Exists"}]
    if kind == "object":
        return {**value, "x": "1"}
    special = {("plugin", "resource"): "example.org/npu", ("plugin", "requireGroup"): "303"}
    if path[-1] == "digest":
        return "sha256:" + 64 * "0"
    return special.get(path, "/other" if value.startswith("/") else "other")


# Everything switched on, so that each value has something to change.
ALL = {"nodeFeatureRule.enabled": True, "plugin.serviceMonitor.enabled": True, "plugin.privileged": True,
       "server.serviceMonitor.enabled": True, "server.ingress.enabled": True, "prometheusRule.enabled": True,
       "dashboards.enabled": True, "server.models.claim": "models", "server.tokenSecret": "tokens",
       "server.ingress.tlsSecret": "tls"}
# What shows only in another setting.
BESIDES = {("server", "autoscaling"): {"server.autoscaling.enabled": True},
           ("server", "models", "image"): {"server.models.claim": ""},
           ("plugin", "dra"): {"plugin.dra.enabled": True}}


def render(helm, settings, chart=CHART):
    command = [helm, "template", "scree", str(chart), "--namespace", "scree", "--kube-version", VERSION]
    for name, value in settings.items():
        command += ["--set-json", f"{name}={json.dumps(value)}"]
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise ValueError(done.stderr.strip()[-300:])
    return done.stdout


def check_values(yaml, helm):
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())
    templates = source("deploy/helm/scree/templates/*")
    n = 0
    for path, value, inner in leaves(values, schema):
        n += 1
        if not helm:
            if not re.search(rf"\.{path[-1]}\b", templates):
                fail(f"value {'.'.join(path)} is not used")
            continue
        settings = dict(ALL)
        for prefix, more in BESIDES.items():
            if path[:len(prefix)] == prefix and path != prefix + ("enabled",):
                settings.update(more)
        before = render(helm, settings)
        try:
            after = render(helm, {**settings, ".".join(path): changed(path, value if ".".join(path) not in
                                                                     settings else settings[".".join(path)],
                                                                     inner)})
        except ValueError as error:
            fail(f"value {'.'.join(path)}: {error}")
            continue
        if before == after:
            fail(f"value {'.'.join(path)} changes nothing")
    for bad in ({"plugin.shares": 0}, {"plugin.nonsense": 1}, {"server.replicas": "two"},
                {"plugin.resource": "rk3588"}, {"plugin.health.probeSeconds": 5},
                {"prometheusRule.enabled": True, "prometheusRule.without": ["NoSuchAlert"]}):
        if helm:
            try:
                render(helm, bad)
                fail(f"{bad} was taken")
            except ValueError:
                pass
    print(f"values: {n}, each is used" + ("" if helm else " (by name; no helm)"))


# ---- objects ----------------------------------------------------------------------------------------

class Kubeconform:
    """Objects are what Kubernetes and the operators say that they are, and nothing more."""

    def __init__(self, program, folder):
        self.command = [program, "-strict", "-output=json", "-summary", "-ignore-missing-schemas", "-schema-location",
                        f"{folder}/{{{{ .ResourceKind }}}}{{{{ .KindSuffix }}}}.json"]

    def check(self, text):
        """(what is wrong, how many objects are right, kinds that nothing describes)."""
        done = subprocess.run([*self.command, "-verbose"], input=text, text=True, capture_output=True, check=False)
        said = json.loads(done.stdout)
        wrong = [f"{r['kind']} {r['name']}: {r['msg']}" for r in said["resources"]
                 if r["status"] not in ("statusValid", "statusSkipped")]
        unknown = {r["kind"] for r in said["resources"] if r["status"] == "statusSkipped"}
        return wrong, said["summary"]["valid"], unknown


# An error each, in a kind of Kubernetes' and in one of an operator.
PLANTED = [
    ("Deployment", "maxUnavailable: 0", "maxUnavailable: 0\n      maxMissing: 1"),
    ("Deployment", "containerPort: 8080", "containerPort: http"),
    ("Service", "targetPort: http", "targetport: http"),
    ("PodDisruptionBudget", "maxUnavailable: 1", "maxUnavailable: []"),
    ("ServiceMonitor", "scrapeTimeout: 10s", "scrapeTimeout: soon"),
    ("PrometheusRule", "for: 2m", "fore: 2m"),
]


def check_planted(kubeconform, text):
    """That the checker finds what is wrong."""
    unknown = kubeconform.check(text)[2]
    for kind, right, wrong in PLANTED:
        if kind in unknown:
            continue
        document = next(d for d in text.split("\n---\n") if f"\nkind: {kind}\n" in f"\n{d}\n")
        found = kubeconform.check(document.replace(right, wrong, 1))[0]
        if right not in document or len(found) != 1:
            fail(f"{kind} with `{wrong.splitlines()[-1].strip()}` is taken for a right one")


def check_objects(texts):
    program = tool("kubeconform")
    with tempfile.TemporaryDirectory() as folder:
        own, foreign = schemas.write(pathlib.Path(folder))
        if not program or not own:
            skip("kubeconform", "no kubeconform, or no module k8s.io/kubernetes")
            return
        kubeconform, n, skipped = Kubeconform(program, folder), 0, set()
        for where, text in texts.items():
            wrong, right, unknown = kubeconform.check(text)
            n += right
            skipped |= unknown - {"Kustomization"}
            for error in wrong:
                fail(f"{where}: {error}")
        check_planted(kubeconform, texts["chart, all on"])
    print(f"objects: {n} are as described by {own} kinds of Kubernetes and {foreign} of operators")
    for kind in sorted(skipped):
        skip(kind, "no description of its operator's; see schemas.py")


def check_restricted(yaml, text):
    """The profile `restricted` of Pod Security, for everything but the plugin."""
    allowed = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image",
               "persistentVolumeClaim", "projected", "secret"}
    n = 0
    for item in yaml.safe_load_all(text):
        if not item or item["kind"] not in ("Deployment", "DaemonSet"):
            continue
        pod = item["spec"]["template"]["spec"]
        plugin = item["kind"] == "DaemonSet"
        context = pod.get("securityContext", {})
        for volume in pod.get("volumes", []):
            if not plugin and not set(volume) - {"name"} <= allowed:
                fail(f"a volume of {item['metadata']['name']} is not for `restricted`")
        for name in ("hostNetwork", "hostPID", "hostIPC"):
            if pod.get(name):
                fail(f"{item['metadata']['name']} has {name}")
        for container in pod["containers"]:
            own = container["securityContext"]
            n += 1
            good = (own.get("allowPrivilegeEscalation") is False and not own.get("privileged") and
                    own["capabilities"]["drop"] == ["ALL"] and own["readOnlyRootFilesystem"] and
                    own["seccompProfile"]["type"] == "RuntimeDefault" and
                    (plugin or (own["runAsNonRoot"] and context["runAsUser"] > 0)))
            if not good:
                fail(f"{item['metadata']['name']} has rights that it needs not")
            if "memory" not in container["resources"]["limits"]:
                fail(f"{item['metadata']['name']} has no limit of memory")
    if n != 2:
        fail(f"{n} containers, not those of the plugin and the server")


# ---- bases ------------------------------------------------------------------------------------------

def check_package(helm):
    """The chart as others get it has all that it needs within itself, and renders the same."""
    settings = {**ALL, "dashboards.enabled": True}
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([helm, "package", str(CHART), "--destination", folder], check=False, text=True,
                              capture_output=True)
        packages = list(pathlib.Path(folder).glob("scree-*.tgz"))
        if done.returncode != 0 or len(packages) != 1 or "symbolic link" in done.stdout + done.stderr:
            fail(f"helm package: {(done.stdout + done.stderr).strip()[-300:]}")
        elif render(helm, settings, packages[0]) != render(helm, settings):
            fail("the chart renders another thing when it is packaged")


def check_bases(helm):
    if helm:
        done = subprocess.run([sys.executable, str(BASES / "render"), "--check", helm], check=False,
                              text=True, capture_output=True)
        if done.returncode != 0:
            fail((done.stdout + done.stderr).strip())
        lint = subprocess.run([helm, "lint", "--strict", str(CHART)], check=False, text=True,
                              capture_output=True)
        if lint.returncode != 0 or "[WARNING]" in lint.stdout:
            fail(f"helm lint: {lint.stdout.strip()[-300:]}")
        check_package(helm)
    if tool("kustomize"):
        build = [tool("kustomize"), "build"]
    elif tool("kubectl"):
        build = [tool("kubectl"), "kustomize"]
    else:
        skip("building the bases", "no kustomize, no kubectl")
        return {}
    texts = {}
    for folder in (".", "dra", "monitoring", "nfd", "kserve"):
        done = subprocess.run([*build, str(BASES / folder)], check=False, text=True, capture_output=True)
        if done.returncode != 0:
            fail(f"kustomize {folder}: {done.stderr.strip()[-300:]}")
        texts[f"kustomize {folder}"] = done.stdout
    return texts


def main():
    check_options()
    check_metrics()
    yaml, helm = yaml_module(), tool("helm")
    texts = check_bases(helm)
    if not helm or not yaml:
        skip("what the chart renders", "no PyYAML" if helm else "no helm")
    if yaml:
        check_values(yaml, helm)
    if helm and yaml:
        texts["chart"] = render(helm, {})
        texts["chart, all on"] = render(helm, {**ALL, "server.autoscaling.enabled": True})
        texts["chart, DRA"] = render(helm, {"plugin.dra.enabled": True})
        texts["chart, models by image"] = render(helm, {"server.models.image": "models:1"})
        check_restricted(yaml, texts["chart"])
        for path in sorted(BASES.rglob("*.yaml")):
            texts[path.relative_to(BASES).as_posix()] = path.read_text()
        check_objects(texts)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
