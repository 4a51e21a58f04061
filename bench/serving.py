#!/usr/bin/env python3
"""Compares `scree serve` with the service that it replaces (incumbent.py), under load, on this machine.

Rounds of both follow each other: start one, wait until it answers, load it with 1, 8 and 64 connections that each post
a picture of 640x480 to /infer again and again, stop it. Times are medians of the rounds. Both and the client, wrk,
share the machine. Needs wrk; flask, Pillow and ai-edge-litert for the other side.

usage: serving.py SCREE MODEL LABELS PICTURE [--rounds N] [--seconds S] [--json FILE] [--svg FILE]
"""
import argparse
import http.client
import io
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from PIL import Image

import compare
import report

CONNECTIONS = (1, 8, 64)
BOUNDARY = "----------------scree"

# All connections come from one address here, and all are to be answered.
MANY = ("--max-connections-per-ip", "128", "--queue", "64")

# wrk tells its figures by these lines; latencies are in microseconds.
SCRIPT = """
wrk.method = "POST"
wrk.path = "/infer"
wrk.headers["Content-Type"] = "multipart/form-data; boundary=%s"
wrk.body = io.open(os.getenv("BODY"), "rb"):read("*a")
function done(summary, latency, requests)
    local e = summary.errors
    io.write(string.format('{"requests": %%d, "us": %%d, "p50": %%f, "p99": %%f, "failed": %%d}\\n',
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
        e.connect + e.read + e.write + e.status + e.timeout))
end
""" % BOUNDARY


def body_of(picture):
    """A form with the picture as a JPEG of 640x480."""
    jpeg = io.BytesIO()
    Image.open(picture).convert("RGB").resize((640, 480)).save(jpeg, "JPEG", quality=85)
    head = (f"--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"image\"; filename=\"image.jpg\"\r\n"
            "Content-Type: image/jpeg\r\n\r\n")
    return head.encode() + jpeg.getvalue() + f"\r\n--{BOUNDARY}--\r\n".encode()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_ready(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def peak_mib(process):
    for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    sys.exit("this kernel does not tell how much memory a process has had")


def load(port, connections, seconds, files):
    """What wrk has measured."""
    done = subprocess.run(["wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", "--timeout", "30s", "-s",
                           str(files / "post.lua"), f"http://127.0.0.1:{port}"],
                          env={**os.environ, "BODY": str(files / "body")}, stdout=subprocess.PIPE, text=True, check=True)
    figures = json.loads(done.stdout.splitlines()[-1])
    return {"per_second": figures["requests"] * 1e6 / figures["us"], "p50_ms": figures["p50"] / 1e3,
            "p99_ms": figures["p99"] / 1e3, "failed": figures["failed"]}


def measure(command, environment, seconds, files):
    """One round of one server."""
    port = free_port()
    start = time.monotonic()
    process = subprocess.Popen(command, env={**os.environ, **environment, "PORT": str(port)},
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not is_ready(port):
            if process.poll() is not None or time.monotonic() - start > 60:
                sys.exit(f"{command[0]} does not start")
            time.sleep(0.002)
        result = {"ready_ms": (time.monotonic() - start) * 1e3}
        load(port, 1, 1, files)
        result["load"] = {str(n): load(port, n, seconds, files) for n in CONNECTIONS}
        result["peak_mib"] = peak_mib(process)
        return result
    finally:
        process.terminate()
        process.wait()


def median(rounds):
    """The median of each figure of some rounds."""
    if isinstance(rounds[0], dict):
        return {key: median([each[key] for each in rounds]) for key in rounds[0]}
    return statistics.median(rounds)


def rows_of(result):
    """(what, the incumbent's, scree's, times better)"""
    old, new = result["incumbent"], result["scree"]
    for n in CONNECTIONS:
        a, b = old["load"][str(n)], new["load"][str(n)]
        many = f"{n} connection{'s' if n > 1 else ''}"
        yield f"requests a second, {many}", a["per_second"], b["per_second"], b["per_second"] / a["per_second"]
        yield f"p50 ms, {many}", a["p50_ms"], b["p50_ms"], a["p50_ms"] / b["p50_ms"]
        yield f"p99 ms, {many}", a["p99_ms"], b["p99_ms"], a["p99_ms"] / b["p99_ms"]
    yield "peak memory, MiB", old["peak_mib"], new["peak_mib"], old["peak_mib"] / new["peak_mib"]
    yield "start to ready, ms", old["ready_ms"], new["ready_ms"], old["ready_ms"] / new["ready_ms"]


def table(result):
    failed = [sum(side["load"][str(n)]["failed"] for n in CONNECTIONS) for side in (result["incumbent"], result["scree"])]
    lines = [f"{result['processor']}, {result['n_processors']} processors, Linux {result['kernel']}; scree at "
             f"{result['commit']}, {result['date']}; {result['model']}, a JPEG of 640x480; medians of "
             f"{result['rounds']} rounds of {result['seconds']} s; requests that failed: {failed[0]:.0f} of the "
             f"incumbent's, {failed[1]:.0f} of scree's.",
             "", "| what | incumbent | scree | times better |", "|---|--:|--:|--:|"]
    lines += [f"| {what} | {old:.1f} | {new:.1f} | **{times:.1f}** |" for what, old, new, times in rows_of(result)]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("scree", "model", "labels", "picture"):
        parser.add_argument(name)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--json")
    parser.add_argument("--svg")
    args = parser.parse_args()
    environment = {"MODEL_PATH": args.model, "LABELS_PATH": args.labels}
    commands = {"incumbent": [sys.executable, "-B", str(pathlib.Path(__file__).parent / "incumbent.py")],
                "scree": [args.scree, "serve", "--address", "127.0.0.1", *MANY]}
    rounds = {name: [] for name in commands}
    with tempfile.TemporaryDirectory() as directory:
        files = pathlib.Path(directory)
        (files / "post.lua").write_text(SCRIPT)
        (files / "body").write_bytes(body_of(args.picture))
        for _ in range(args.rounds):
            for name, command in commands.items():
                rounds[name].append(measure(command, environment, args.seconds, files))
    result = {"processor": compare.processor(), "n_processors": os.cpu_count(), "kernel": os.uname().release,
              "commit": compare.commit(), "date": time.strftime("%Y-%m-%d"), "model": pathlib.Path(args.model).stem,
              "rounds": args.rounds, "seconds": args.seconds,
              **{name: median(each) for name, each in rounds.items()}}
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(result, indent=1) + "\n")
    if args.svg:
        bars = [(what, 1, times) for what, _, _, times in rows_of(result)]
        title = f"times better than the incumbent ({result['processor']}, {result['commit']})"
        pathlib.Path(args.svg).write_text(report.chart(title, bars, {1: "scree serve"}))
    print(table(result))


if __name__ == "__main__":
    main()
