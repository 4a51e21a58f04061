#!/usr/bin/env python3
"""Clients that others wrote, unmodified, against a server: those that are installed, the rest is
skipped with the reason.

usage: run.py SCREE MODELS-FOLDER

The environment names where they are: SCREE_CLIENTS_PYTHON, a Python that may have tritonclient[all],
kserve and grpcio-health-checking; SCREE_CLIENTS_NODE, a folder node_modules with @grpc/grpc-js and
@grpc/proto-loader; SCREE_CLIENTS_PROTO, the protocol's open_inference_grpc.proto.
"""
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "serve"))
from server import MODELS, Server  # noqa: E402

PYTHON = os.environ.get("SCREE_CLIENTS_PYTHON", sys.executable)
PICTURE = next(MODELS.glob("pictures/*.png"))
SKIPPED = 77


def has(module):
    return subprocess.run([PYTHON, "-c", f"import {module}"], capture_output=True).returncode == 0


def clients(http_port, grpc_port):
    """Of each client: its name, what it lacks ("" for nothing), and its command."""
    ports = ["127.0.0.1", str(http_port), str(grpc_port), str(PICTURE)]
    lacks = [f"{PYTHON} has no {name}" for name in ("tritonclient.http", "tritonclient.grpc")
             if not has(name)]
    yield "tritonclient", "; ".join(lacks), [PYTHON, str(HERE / "triton.py"), *ports]
    yield ("KServe", "" if has("kserve") else f"{PYTHON} has no kserve",
           [PYTHON, str(HERE / "kserve_client.py"), *ports])
    yield ("grpcio-health-checking",
           "" if has("grpc_health.v1") else f"{PYTHON} has no grpc_health",
           [PYTHON, str(HERE / "health.py"), *ports])
    node, proto = os.environ.get("SCREE_CLIENTS_NODE"), os.environ.get("SCREE_CLIENTS_PROTO")
    lacks = [what for what, there in (("node", shutil.which("node")), ("SCREE_CLIENTS_NODE", node),
                                      ("SCREE_CLIENTS_PROTO", proto)) if not there]
    yield ("@grpc/grpc-js", " and ".join(lacks) + " is not there" if lacks else "",
           ["node", str(HERE / "grpc_js.js"), "127.0.0.1", str(grpc_port), proto or ""])


def main():
    n_run = n_failed = 0
    with Server() as server:
        line, = [line for line in server.log if "gRPC on port" in line]
        grpc_port = int(line.split("gRPC on port ")[1].split()[0])
        environment = {**os.environ, "NODE_PATH": os.environ.get("SCREE_CLIENTS_NODE", "")}
        for name, lack, command in clients(server.port, grpc_port):
            if lack:
                print(f"skipped {name}: {lack}", flush=True)
                continue
            n_run += 1
            code = subprocess.run(command, env=environment, timeout=120).returncode
            n_failed += code != 0
            print("FAILED" if code else "ok", name, flush=True)
    return 1 if n_failed else 0 if n_run else SKIPPED


if __name__ == "__main__":
    sys.exit(main())
