#!/usr/bin/env python3
"""The Grafana dashboards and the alerts of Prometheus ask for series that the server has.

With promtool, every expression is parsed and the alerts' own tests are run.

usage: dashboards.py ROOT
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(sys.argv[1])
PROMTOOL = shutil.which("promtool")
# What Prometheus itself knows of a target.
OTHERS = {"up"}
failures = []


def fail(text):
    failures.append(text)
    print("FAILED", text)


def known_series():
    rows = re.findall(r'METRIC\(\w+, (\w+), "(\w+)"', (ROOT / "src/serve/metrics.inc").read_text())
    rows += [("PLUGIN", name) for path in sorted((ROOT / "src/plugin").glob("*.c"))
             for name in re.findall(r'"(npu_plugin_\w+)"', path.read_text())]
    assert len(rows) > 40, rows
    series = set(OTHERS)
    for kind, name in rows:
        series |= {f"{name}_{end}" for end in ("bucket", "sum", "count")} if kind == "HISTOGRAM" else {name}
    return series


def used_series(expression):
    """Names in an expression that are followed by a selector or an end; all of ours begin so."""
    return set(re.findall(r"\b(?:npu|process)_\w+", expression)) | set(re.findall(r"\bup\b", expression))


def expressions():
    """(where, expression) of all dashboards, and the alerts'."""
    for path in sorted((ROOT / "deploy/grafana").glob("*.json")):
        board = json.loads(path.read_text())
        ids = [panel["id"] for panel in board["panels"]]
        if len(ids) != len(set(ids)):
            fail(f"{path.name}: panels with one id")
        for panel in board["panels"]:
            for target in panel.get("targets", []):
                yield f"{path.name}: {panel['title']}", target["expr"]
    text = (ROOT / "deploy/prometheus/alerts.yml").read_text()
    for block in re.split(r"\n      - ", text)[1:]:
        name = re.match(r"alert: (\w+)", block).group(1)
        if not name.startswith("Scree"):
            fail(f"alerts.yml: {name} could be anybody's")
        expression = re.search(r"expr: (?:>-\n)?(.*?)\n        \w+:", block, re.S).group(1)
        yield f"alerts.yml: {name}", " ".join(expression.split())


def check_old_dashboard():
    """What those who have it see: the same address, the same five panels."""
    board = json.loads((ROOT / "deploy/grafana/npu-inference.json").read_text())
    titles = [panel["title"] for panel in board["panels"]]
    if (board["uid"], board["title"], len(titles)) != ("npu-inference", "NPU Inference Service", 5):
        fail(f"npu-inference.json: {board['uid']}, {titles}")
    for panel in board["panels"]:
        for target in panel["targets"]:
            if '{namespace="ml",service="npu-inference"}' not in target["expr"]:
                fail(f"npu-inference.json: {target['expr']} selects something else")


def check_with_promtool(found):
    if not PROMTOOL:
        print("skipped: no promtool here to parse the expressions")
        return
    with tempfile.TemporaryDirectory() as folder:
        rules = [{"record": f"check:{i}", "expr": expression.replace("$__rate_interval", "5m")
                  .replace("$instance", ".*")} for i, (_, expression) in enumerate(found)]
        path = pathlib.Path(folder) / "rules.yml"
        path.write_text(json.dumps({"groups": [{"name": "all", "rules": rules}]}))
        checks = [["check", "rules", str(path)],
                  ["check", "rules", str(ROOT / "deploy/prometheus/alerts.yml")],
                  ["test", "rules", str(ROOT / "deploy/prometheus/alerts_test.yml")]]
        for arguments in checks:
            result = subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, check=False)
            if result.returncode != 0:
                fail(f"promtool {arguments[0]}: {result.stdout}{result.stderr}")
    print("promtool: ok")


def main():
    series, found = known_series(), list(expressions())
    if len(found) < 30:
        fail(f"only {len(found)} expressions were found")
    for where, expression in found:
        used = used_series(expression)
        if not used:
            fail(f"{where}: no series in {expression}")
        for name in used - series:
            fail(f"{where}: there is no {name}")
    check_old_dashboard()
    check_with_promtool(found)
    print(f"{len(found)} expressions")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
