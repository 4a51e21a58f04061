#!/usr/bin/env python3
"""Everybody at once, for a while: clients of each protocol, clients that send rubbish or go away, and models that are
replaced meanwhile. No request that is right may fail, and the server must be what it was when all is over.

usage: soak.py SCREE MODELS-FOLDER      $SOAK_SECONDS (6), $SOAK_CLIENTS (6): how long, how many

With a minute and more, memory at the end is compared with that after a fifth of the time, and there are clients that
listen to events and go away, which is seen at the next heartbeat.
"""
import base64
import collections
import http.client
import json
import os
import pathlib
import random
import shutil
import socket
import sys
import threading
import time

from server import MODELS, PICTURE, Server

SECONDS = float(os.environ.get("SOAK_SECONDS", "6"))
CLIENTS = int(os.environ.get("SOAK_CLIENTS", "6"))
PICTURES = [path.read_bytes() for path in sorted(MODELS.glob("pictures/*.[jp]*g"))]
# Memory that may come after the first fifth of a long run, in KiB and as a share.
MORE_KIB, MORE = 4096, 0.1


class Client(threading.Thread):
    """One that asks for anything, on a connection that it keeps."""

    def __init__(self, server, number, end):
        super().__init__()
        self.server, self.random, self.end = server, random.Random(number), end
        self.connection = None
        self.counts = collections.Counter()
        self.wrong = None

    def ask(self, method, path, body=None, **headers):
        if not self.connection:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        try:
            self.connection.request(method, path, body, headers)
            response = self.connection.getresponse()
            text = response.read()
        except (http.client.RemoteDisconnected, ConnectionError):
            self.connection = None  # one that was idle for long, or is over
            self.counts["closed"] += 1
            return None, b""
        self.counts[response.status] += 1
        return response, text

    def right(self, method, path, body=None, **headers):
        """A request that must not fail, however busy the server is."""
        response, text = self.ask(method, path, body, **headers)
        assert not response or response.status in (200, 503, 429), (method, path, response.status, text)
        return text if response and response.status == 200 else None

    def classify(self):
        text = self.right("POST", "/infer?model=classifier&top=1", PICTURE)
        assert not text or json.loads(text)["predictions"][0]["label"] == self.server.label, text

    def detect(self):
        picture = self.random.choice(PICTURES)
        path = self.random.choice(["/detect?model=detector", "/v1/vision/detection", "/infer?model=detector&draw=1"])
        text = self.right("POST", path, picture)
        assert not text or text[:2] == b"\xff\xd8" or json.loads(text), text

    def doods(self):
        body = {"detector_name": "detector", "data": base64.b64encode(PICTURE).decode(), "detect": {"*": 40}}
        text = self.right("POST", "/detect", json.dumps(body), **{"Content-Type": "application/json"})
        assert not text or "detections" in json.loads(text), text

    def tensors(self):
        text = self.right("GET", "/v2/models/classifier")
        if not text:
            return
        tensor = json.loads(text)["inputs"][0]
        n = 1
        for size in tensor["shape"]:
            n *= size
        body = json.dumps({"inputs": [{"name": tensor["name"], "datatype": tensor["datatype"],
                                       "shape": tensor["shape"], "data": [self.random.randrange(100)] * n}]})
        answer = self.right("POST", "/v2/models/classifier/infer", body)
        assert not answer or json.loads(answer)["outputs"], answer

    def look(self):
        self.right("GET", self.random.choice(["/", "/health", "/metrics", "/detectors", "/v1/stats", "/openapi.json",
                                              "/v2/models/stats", "/v2/health/ready"]))

    def rubbish(self):
        n = self.random.randrange(2000)
        path = self.random.choice(["/infer", "/detect", "/v2/models/classifier/infer", "/v1/models/classifier:predict",
                                   "/none", "/v1/vision/custom/list"])
        response, text = self.ask("POST", path, self.random.randbytes(n))
        assert not response or response.status in (200, 400, 404, 415, 429, 503), (path, response.status, text)

    def leave(self):
        """Goes away somewhere in the middle."""
        with socket.create_connection(("127.0.0.1", self.server.port), 20) as peer:
            head = b"POST /infer HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(PICTURE)
            peer.sendall((head + PICTURE)[:self.random.randrange(1, len(head) + len(PICTURE))])
        self.counts["left"] += 1

    def listen(self):
        with socket.create_connection(("127.0.0.1", self.server.port), 20) as peer:
            peer.sendall(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
            peer.recv(1000)
        self.counts["listened"] += 1

    def run(self):
        ways = [self.classify] * 4 + [self.detect] * 3 + [self.doods, self.tensors, self.look, self.rubbish, self.leave]
        if SECONDS >= 60:
            ways.append(self.listen)
        try:
            while time.monotonic() < self.end and not self.wrong:
                self.random.choice(ways)()
        except Exception as error:  # told by the main thread
            self.wrong = error


def replace_models(server, end, swaps):
    """A new version of a model after another; each takes over from the one before."""
    version = 1
    while time.monotonic() < end:
        version += 1
        server.add("classifier", version)
        until = time.monotonic() + 60
        while True:
            versions = server.json("GET", "/v2/models/classifier")["versions"]
            if str(version) in versions:
                break
            assert time.monotonic() < until, f"version {version} does not come: {versions}"
            time.sleep(0.02)
        shutil.rmtree(server.folder / "classifier" / str(version - 1))
        swaps.append(version)


def kib(server):
    for line in pathlib.Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def n_descriptors(server):
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def main():
    with Server("--max-connections-per-ip", "200", "--threads", "2") as server:
        server.label = server.json("POST", "/infer?model=classifier&top=1", PICTURE)["predictions"][0]["label"]
        before, start = n_descriptors(server), time.monotonic()
        end, swaps = start + SECONDS, []
        clients = [Client(server, i, end) for i in range(CLIENTS)]
        for client in clients:
            client.start()
        early = []
        threading.Timer(SECONDS / 5, lambda: early.append(kib(server))).start()
        replace_models(server, end, swaps)
        counts = collections.Counter()
        for client in clients:
            client.join(120)
            counts.update(client.counts)
            if client.connection:
                client.connection.close()
        late = kib(server)
        for client in clients:
            assert not client.wrong, client.wrong
        print(f"{sum(counts.values())} requests in {time.monotonic() - start:.0f} s, {len(swaps)} models replaced: "
              f"{dict(sorted(counts.items(), key=str))}; {early[0]} KiB early, {late} late")
        assert swaps and counts[200] > 0
        if SECONDS >= 60:
            assert late < early[0] * (1 + MORE) + MORE_KIB, "memory grows"
        for _ in range(400):  # who listened and went away is missed at the next heartbeat
            if n_descriptors(server) <= before + 4:  # a few for mapped models and idle connections
                break
            time.sleep(0.1)
        assert n_descriptors(server) <= before + 4, (before, n_descriptors(server))
        assert server.json("POST", "/infer?model=classifier&top=1", PICTURE)["predictions"][0]["label"] == server.label
    print("ok soak")


if __name__ == "__main__":
    sys.exit(main())
