#!/usr/bin/env python3
"""Makes JSON schemas for kubeconform from what says officially what objects are.

usage: schemas.py FOLDER      KIND-GROUP-VERSION.json in FOLDER, for every kind that there is a description of

Kubernetes' own kinds are those of its OpenAPI description, api/openapi-spec/swagger.json of the Go module
k8s.io/kubernetes; those of operators are in the CustomResourceDefinitions of their modules. Modules are looked for in
the Go module cache (tests/deploy/get_tools brings them there), files and folders with CRDs also in SCREE_KUBE_CRDS.
Strict: a field that no description has is an error.
"""
import glob
import json
import os
import pathlib
import re
import sys

# Module, and its files with the CRDs of what is deployed.
OPERATOR = "github.com/prometheus-operator/prometheus-operator", "example/prometheus-operator-crd"
KSERVE = "github.com/kserve/kserve", "config/crd/full"
CRDS = [(*OPERATOR, "monitoring.coreos.com_podmonitors.yaml"),
        (*OPERATOR, "monitoring.coreos.com_servicemonitors.yaml"),
        (*OPERATOR, "monitoring.coreos.com_prometheusrules.yaml"),
        (*KSERVE, "serving.kserve.io_servingruntimes.yaml"),
        (*KSERVE, "serving.kserve.io_inferenceservices.yaml"),
        ("sigs.k8s.io/node-feature-discovery", "deployment/base/nfd-crds", "nfd-api-crds.yaml")]
# What an int-or-string and a quantity may be.
EITHER = {"type": ["integer", "number", "string"]}


def cache():
    return os.environ.get("GOMODCACHE") or os.path.expanduser(os.path.join(
        os.environ.get("GOPATH", "~/go").split(":")[0], "pkg/mod"))


def newest(paths):
    """The file of the highest version, where versions are numbers in a path."""
    return max(paths, key=lambda p: [int(n) for n in re.findall(r"\d+", p)], default=None)


def find_openapi():
    return newest(glob.glob(f"{cache()}/k8s.io/kubernetes@v*/api/openapi-spec/swagger.json"))


def find_crds():
    """Files with CRDs: of the newest version of each module, and of SCREE_KUBE_CRDS."""
    files = []
    for module, folder, name in CRDS:
        found = newest(glob.glob(f"{cache()}/{module}@v*/{folder}/{name}"))
        files += [found] if found else []
    for place in filter(None, os.environ.get("SCREE_KUBE_CRDS", "").split(":")):
        files += sorted(glob.glob(f"{place}/*.yaml")) if os.path.isdir(place) else [place]
    return files


# ---- conversion -------------------------------------------------------------------------------------

def convert(schema):
    """An OpenAPI schema as a JSON schema that knows no other fields than those it names."""
    if isinstance(schema, list):
        return [convert(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string") or schema.get("format") == "int-or-string":
        return EITHER
    kept = {}
    for name, value in schema.items():
        if name in ("properties", "definitions"):
            kept[name] = {field: convert(inner) for field, inner in value.items()}
        elif name in ("items", "additionalProperties", "allOf", "anyOf", "oneOf", "not"):
            kept[name] = convert(value)
        elif name in ("type", "$ref", "required", "enum", "pattern", "minimum", "maximum", "minLength", "maxLength",
                      "minItems", "maxItems", "minProperties", "maxProperties", "exclusiveMinimum",
                      "exclusiveMaximum"):
            kept[name] = value
    if "properties" in kept and not schema.get("x-kubernetes-preserve-unknown-fields"):
        kept.setdefault("additionalProperties", False)
    if schema.get("nullable") and isinstance(kept.get("type"), str):
        kept["type"] = [kept["type"], "null"]
    return kept


def reachable(name, definitions, found):
    """The definitions that one needs, itself included."""
    if name not in found:
        found[name] = definitions[name]
        for other in re.findall(r'"#/definitions/([^"]+)"', json.dumps(definitions[name])):
            reachable(other, definitions, found)
    return found


def file_name(kind, group, version):
    """By kubeconform's template {{.ResourceKind}}{{.KindSuffix}}: the group's first word, and the version."""
    return "-".join(filter(None, (kind.lower(), group.split(".")[0], version))) + ".json"


def own_kinds(path):
    """(file, schema) of Kubernetes' kinds."""
    source = json.loads(pathlib.Path(path).read_text())["definitions"]
    definitions = {name: convert(schema) for name, schema in source.items()}
    definitions["io.k8s.apimachinery.pkg.api.resource.Quantity"] = EITHER
    for name, schema in source.items():
        for kind in schema.get("x-kubernetes-group-version-kind", []):
            yield (file_name(kind["kind"], kind["group"], kind["version"]),
                   {"$ref": f"#/definitions/{name}", "definitions": reachable(name, definitions, {})})


def load(text):
    """The documents of YAML as others read it: a plain `=` is text, which PyYAML has never decided."""
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        """With one more type."""

    Loader.add_constructor("tag:yaml.org,2002:value", lambda _, node: node.value)
    return list(yaml.load_all(text, Loader))


def crd_kinds(path):
    """(file, schema) of the kinds that a file of CRDs defines."""
    for crd in load(pathlib.Path(path).read_text()):
        if crd and crd.get("kind") == "CustomResourceDefinition":
            spec = crd["spec"]
            for version in spec["versions"]:
                schema = convert(version["schema"]["openAPIV3Schema"])
                yield file_name(spec["names"]["kind"], spec["group"], version["name"]), schema


def write(folder):
    """Returns how many kinds there are of Kubernetes and of operators; (0, 0) without any description."""
    openapi = find_openapi()
    counts = []
    for files, kinds in (([openapi] if openapi else [], own_kinds), (find_crds(), crd_kinds)):
        counts.append(0)
        for path in files:
            for name, schema in kinds(path):
                (folder / name).write_text(json.dumps(schema))
                counts[-1] += 1
    return counts


if __name__ == "__main__":
    to = pathlib.Path(sys.argv[1])
    to.mkdir(parents=True, exist_ok=True)
    print("{} kinds of Kubernetes, {} of operators".format(*write(to)))
