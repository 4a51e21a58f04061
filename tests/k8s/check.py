#!/usr/bin/env python3
"""A real node and what scree does on it, printed as it is seen.

usage: check.py FOLDER TOOLS CONTAINERD standalone|cluster|chart IMAGE.tar...    as process 1 of its namespaces; see tools/check_k8s

Everything that is printed was observed in this run; the first thing that is not as it should be ends it with 1.
"""
import pathlib
import sys

import chart
import cluster
import node as nodes
import standalone
from common import say
from node import Failure

SCENARIOS = {"standalone": standalone.SCENARIOS, "cluster": cluster.SCENARIOS, "chart": chart.SCENARIOS}


def main():
    folder, tools, containerd = (pathlib.Path(a) for a in sys.argv[1:4])
    what, tars = sys.argv[4], sys.argv[5:]
    nodes.mount_private()
    node = nodes.Node(folder, tools, containerd)
    try:
        node.prepare()
        nodes.plug()
        node.start_runtime()
        for tar in tars:
            node.ctr("images", "import", tar)
        for scenario in SCENARIOS[what]:
            scenario(node)
            node.programs.check()
    except (Failure, OSError, KeyError, StopIteration) as failure:
        say(f"FAILED: {type(failure).__name__}: {failure}")
        for command in (("get", "pods", "-A", "-o", "wide"), ("get", "events", "-A")):
            if "apiserver" in node.programs.running:
                say(node.kubectl(*command, check=False)[-3000:])
        return 1
    finally:
        node.programs.stop_all()
    return 0


if __name__ == "__main__":
    sys.exit(main())
