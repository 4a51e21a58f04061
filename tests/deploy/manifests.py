#!/usr/bin/env python3
"""What is deployed to Kubernetes: chart, bases, alerts and dashboards, as far as the tools here go.

usage: manifests.py ROOT

Always: every option and metric that is named exists; every value is described by the schema and is used.
With helm: each value changes what is rendered; the bases are what the chart gives; lint is clean. With the
OpenAPI description of Kubernetes (SCREE_KUBE_OPENAPI, or in a Go module cache) or kubeconform with schemas
(SCREE_KUBE_SCHEMAS): every object is one. With kustomize or kubectl: the bases can be built.
Tools are looked for in PATH and in SCREE_KUBE_TOOLS.
"""
import glob
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

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
    text = source("deploy/helm/scree/templates/*.yaml") + source("deploy/helm/scree/dashboards/*.json")
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


def render(helm, settings):
    command = [helm, "template", "scree", str(CHART), "--namespace", "scree", "--kube-version", VERSION]
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
                {"plugin.resource": "rk3588"}, {"plugin.health.probeSeconds": 5}):
        if helm:
            try:
                render(helm, bad)
                fail(f"{bad} was taken")
            except ValueError:
                pass
    print(f"values: {n}, each is used" + ("" if helm else " (by name; no helm)"))


# ---- objects ----------------------------------------------------------------------------------------

class OpenApi:
    """Checks objects against the definitions of Kubernetes' own description: types, and no unknown field."""

    def __init__(self, path):
        self.definitions = json.loads(pathlib.Path(path).read_text())["definitions"]
        self.kinds = {}
        for definition in self.definitions.values():
            for kind in definition.get("x-kubernetes-group-version-kind", []):
                version = "/".join(filter(None, (kind["group"], kind["version"])))
                self.kinds.setdefault((version, kind["kind"]), definition)

    def check(self, value, schema, path):
        if "$ref" in schema:
            schema = self.definitions[schema["$ref"].rsplit("/", 1)[1]]
        kind = schema.get("type")
        if kind == "object" or "properties" in schema:
            if not isinstance(value, dict):
                return [f"{path}: not an object"]
            return self.check_object(value, schema, path)
        if kind == "array":
            if not isinstance(value, list):
                return [f"{path}: not a list"]
            return [e for i, v in enumerate(value) for e in self.check(v, schema["items"], f"{path}[{i}]")]
        types = {"string": str, "integer": int, "boolean": bool, "number": (int, float)}
        if schema.get("format") == "int-or-string" or "Quantity" in schema.get("description", "")[:12]:
            types["string"] = (str, int)
        good = kind is None or (isinstance(value, types[kind]) and
                                (kind == "boolean" or not isinstance(value, bool)))
        return [] if good else [f"{path}: {value!r} is no {kind}"]

    def check_object(self, value, schema, path):
        errors = [f"{path}.{name} is missing" for name in schema.get("required", []) if name not in value]
        for name, inner in value.items():
            if name in schema.get("properties", {}):
                errors += self.check(inner, schema["properties"][name], f"{path}.{name}")
            elif isinstance(schema.get("additionalProperties"), dict):
                if schema["additionalProperties"].get("$ref", "").endswith("resource.Quantity"):
                    if isinstance(inner, bool) or not isinstance(inner, (str, int)):
                        errors.append(f"{path}.{name}: {inner!r} is no quantity")
                else:
                    errors += self.check(inner, schema["additionalProperties"], f"{path}.{name}")
            elif "properties" in schema:
                errors.append(f"{path}.{name}: there is no such field")
        return errors


def find_openapi():
    named = os.environ.get("SCREE_KUBE_OPENAPI")
    if named:
        return named
    cache = os.environ.get("GOMODCACHE", os.path.expanduser("~/go/pkg/mod"))
    found = sorted(glob.glob(f"{cache}/k8s.io/kubernetes@*/api/openapi-spec/swagger.json"))
    return found[-1] if found else None


# Of operators, which the description does not have.
FOREIGN = ("monitoring.coreos.com/", "nfd.k8s-sigs.io/", "serving.kserve.io/", "kustomize.config.k8s.io/")


def check_objects(yaml, texts):
    path = find_openapi()
    openapi = OpenApi(path) if path else None
    if not path:
        skip("the description of Kubernetes", "no SCREE_KUBE_OPENAPI, no module k8s.io/kubernetes")
    n = 0
    for where, text in texts.items():
        for item in yaml.safe_load_all(text):
            if not item:
                continue
            if not {"apiVersion", "kind", "metadata"} <= set(item) and item["kind"] != "Kustomization":
                fail(f"{where}: not an object")
            if not openapi or item["apiVersion"].startswith(FOREIGN):
                continue
            n += 1
            schema = openapi.kinds.get((item["apiVersion"], item["kind"]))
            if not schema:
                fail(f"{where}: there is no {item['apiVersion']} {item['kind']}")
                continue
            for error in openapi.check(item, schema, f"{where}: {item['kind']}"):
                fail(error)
    if openapi:
        print(f"objects: {n} are what Kubernetes describes")
        broken = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": 1, "imag": "x"}]}}
        if len(openapi.check(broken, openapi.kinds[("v1", "Pod")], "")) != 2:
            fail("the checker of objects finds nothing wrong with a wrong one")


def check_kubeconform(texts):
    program, schemas = tool("kubeconform"), os.environ.get("SCREE_KUBE_SCHEMAS")
    if not program or not schemas:
        skip("kubeconform", "no kubeconform, or no SCREE_KUBE_SCHEMAS")
        return
    for where, text in texts.items():
        done = subprocess.run([program, "-strict", "-schema-location", schemas, "-ignore-missing-schemas"],
                              input=text, text=True, capture_output=True, check=False)
        if done.returncode != 0:
            fail(f"{where}: kubeconform: {done.stdout.strip()[-300:]}")


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
    if tool("kustomize"):
        build = [tool("kustomize"), "build"]
    elif tool("kubectl"):
        build = [tool("kubectl"), "kustomize"]
    else:
        skip("building the bases", "no kustomize, no kubectl")
        return {}
    texts = {}
    for folder in (".", "monitoring", "nfd", "kserve"):
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
    if not helm:
        skip("rendering the chart", "no helm")
    if not yaml:
        skip("values and objects", "no PyYAML")
        return 1 if failures else 0
    check_values(yaml, helm)
    if helm:
        texts["chart"] = render(helm, {})
        texts["chart, all on"] = render(helm, {**ALL, "server.autoscaling.enabled": True})
        texts["chart, DRA"] = render(helm, {"plugin.dra.enabled": True})
        texts["chart, models by image"] = render(helm, {"server.models.image": "models:1"})
        check_restricted(yaml, texts["chart"])
    for path in sorted(BASES.rglob("*.yaml")):
        texts[path.relative_to(BASES).as_posix()] = path.read_text()
    check_objects(yaml, texts)
    check_kubeconform(texts)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
