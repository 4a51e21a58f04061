#!/usr/bin/env python3
"""Everybody at once, for a while: clients of each protocol, clients that send rubbish or go away, models that are
replaced, loaded and unloaded meanwhile, SIGHUP. No request that is right may fail, and the server must be what it was
when all is over.

usage: soak.py SCREE MODELS-FOLDER      $SOAK_SECONDS (6), $SOAK_CLIENTS (6): how long, how many

With a minute and more, memory and descriptors at the end are compared with those after a fifth of the time, and there
are clients that listen to events and go away, which is seen at the next heartbeat. gRPC needs grpcio.
"""
import base64
import collections
import gzip
import http.client
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import struct
import sys
import threading
import time

from frigate import Peer
from rpc import GOOD, PIXELS, SERVICE, field, fields, grpc
from server import MODELS, PICTURE, Server

SECONDS = float(os.environ.get("SOAK_SECONDS", "6"))
CLIENTS = int(os.environ.get("SOAK_CLIENTS", "6"))
PICTURES = [path.read_bytes() for path in sorted(MODELS.glob("pictures/*.[jp]*g"))]
# Memory that may come after the first fifth of a long run, in KiB and as a share.
MORE_KIB, MORE = 4096, 0.1


LOOKS = ("/", "/health", "/livez", "/readyz", "/metrics", "/detectors", "/openapi.json", "/v1/stats",
         "/v1/placement?model=detector", "/v1/doctor", "/v1/status/ping", "/v1/server/status/version", "/v2",
         "/v2/health/ready", "/v2/models/stats", "/v2/models/detector", "/v2/models/classifier/config",
         "/v2/models/detector/versions/1/stats", "/v1/models/detector", "/v1/models/classifier/metadata")
JSON = {"Content-Type": "application/json"}


def form(**parts):
    """The body of a form; bytes are files."""
    body = b"".join(b'--B\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n' % (
        name.encode(), b'; filename="f"' if isinstance(value, bytes) else b"",
        value if isinstance(value, bytes) else value.encode()) for name, value in parts.items())
    return body + b"--B--\r\n", {"Content-Type": "multipart/form-data; boundary=B"}


class Client(threading.Thread):
    """One that asks for anything, on connections that it keeps: HTTP, gRPC, zmq."""

    def __init__(self, server, number, end):
        super().__init__()
        self.server, self.number, self.random, self.end = server, number, random.Random(number), end
        self.connection = self.peer = self.channel = None
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

    # ---- what is right ----

    def classify(self):
        body, headers = self.random.choice([(PICTURE, {}), form(image=PICTURE)])
        text = self.right("POST", "/infer?model=classifier&top=1", body, **headers)
        assert not text or json.loads(text)["predictions"][0]["label"] == self.server.label, text

    def detect(self):
        picture = self.random.choice(PICTURES)
        path = self.random.choice(["/detect?model=detector", "/infer?model=detector&draw=1",
                                   "/detect?model=detector&threshold=0.1&upright=1"])
        text = self.right("POST", path, picture)
        assert not text or text[:2] == b"\xff\xd8" or json.loads(text), text

    def deepstack(self):
        path = self.random.choice(["/v1/vision/detection", "/v1/vision/custom/detector", "/v1/vision/scene"])
        body, headers = form(image=self.random.choice(PICTURES), min_confidence="0.3")
        text = self.right("POST", path, body, **headers)
        assert not text or json.loads(text)["success"] is True, text
        assert self.right("POST", "/v1/vision/custom/list", b"") != b""

    def doods(self):
        body = {"detector_name": "detector", "data": base64.b64encode(PICTURE).decode(), "detect": {"*": 40}}
        body["image"] = self.random.choice(["", "jpg"])
        text = self.right("POST", "/detect", json.dumps(body), **JSON)
        assert not text or "detections" in json.loads(text), text
        text = self.right("POST", "/image", json.dumps(body), **JSON)
        assert not text or text[:2] == b"\xff\xd8", text

    def tensors(self):
        """Open Inference Protocol: numbers, a picture, binary data; TensorFlow Serving."""
        path = "/v2/models/classifier/infer"
        tensor = {"name": "image", "datatype": "UINT8", "shape": [1, 96, 96, 3]}
        numbers = [self.random.randrange(100)] * len(PIXELS)
        head = json.dumps({"inputs": [{**tensor, "parameters": {"binary_data_size": len(PIXELS)}}]}).encode()
        picture = base64.b64encode(PICTURE).decode()
        answer = self.right(*self.random.choice([
            ("POST", path, json.dumps({"inputs": [{**tensor, "data": numbers}]})),
            ("POST", path, json.dumps({"inputs": [{**tensor, "datatype": "BYTES", "shape": [1], "data": [picture]}]})),
            ("POST", "/v1/models/classifier:predict", json.dumps({"instances": [{"b64": picture}]})),
        ]))
        assert not answer or json.loads(answer), answer
        body, more = self.random.choice([(head + PIXELS, {}), (gzip.compress(head + PIXELS), {"Content-Encoding": "gzip"})])
        answer = self.right("POST", path, body, **{"Inference-Header-Content-Length": str(len(head)), **more})
        assert not answer or json.loads(answer)["outputs"], answer

    def call(self):
        """gRPC: one by one, and as a stream."""
        if not self.channel:
            self.channel = grpc.insecure_channel(f"127.0.0.1:{self.server.grpc_port}")
        ask = self.channel.unary_unary
        try:
            for path, message in ((SERVICE + "ModelInfer", GOOD), (SERVICE + "ModelMetadata", field(1, "classifier")),
                                  (SERVICE + "ModelStatistics", b""), (SERVICE + "RepositoryIndex", b""),
                                  ("/grpc.health.v1.Health/Check", b"")):
                assert ask(path)(message, timeout=60), path
                self.counts["call"] += 1
            stream = self.channel.stream_stream(SERVICE + "ModelStreamInfer")
            for answer in stream(iter([GOOD] * 3), timeout=60):
                assert 2 in fields(answer) and 1 not in fields(answer), answer
                self.counts["streamed"] += 1
        except grpc.RpcError as error:
            assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED), error
            self.counts["refused"] += 1

    def frigate(self):
        if not self.peer:
            self.peer = Peer(self.server.zmq)
            assert self.peer.ask_json({"model_request": True, "model_name": "detector.tflite"})["model_available"]
        rows = self.peer.detect({"shape": [1, 96, 96, 3], "dtype": "uint8"}, PIXELS)
        assert len(rows) == 20, rows
        self.counts["zmq"] += 1

    def look(self):
        self.right("GET", self.random.choice(LOOKS), Accept=self.random.choice(["*/*", "text/html"]))

    def administer(self):
        """Unloads and loads a model that nobody else asks for; one that is served is loaded again."""
        for what in ("spare/unload", "spare/load", "detector/load"):
            self.right("POST", f"/v2/repository/models/{what}", b"")
        text = self.right("POST", "/v2/repository/index", b"")
        assert not text or {"classifier", "detector", "spare"} <= {one["name"] for one in json.loads(text)}, text

    # ---- what is not ----

    def rubbish(self):
        n = self.random.randrange(2000)
        path = self.random.choice(["/infer", "/detect", "/v2/models/classifier/infer", "/v1/models/classifier:predict",
                                   "/none", "/v1/vision/custom/list", "/v1/vision/detection", "/image"])
        response, text = self.ask("POST", path, self.random.randbytes(n))
        assert not response or response.status in (200, 400, 404, 415, 429, 503), (path, response.status, text)
        port = self.random.choice([self.server.port, self.server.grpc_port, int(self.server.zmq.split(":")[-1])])
        with socket.create_connection(("127.0.0.1", port), 20) as peer:
            peer.sendall(self.random.choice([b"", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\xff" + bytes(8) + b"\x7f\3"]) +
                         self.random.randbytes(n))
        self.counts["rubbish"] += 1

    def leave(self):
        """Goes away somewhere in the middle, or when all is said."""
        head = b"POST /infer HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(PICTURE)
        with socket.create_connection(("127.0.0.1", self.server.port), 20) as peer:
            peer.sendall((head + PICTURE)[:self.random.randrange(1, len(head) + len(PICTURE) + 1)])
            if self.random.randrange(2):  # by a reset
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if self.channel:
            self.channel.unary_unary(SERVICE + "ModelInfer").future(GOOD).cancel()
        self.counts["left"] += 1

    def listen(self):
        with socket.create_connection(("127.0.0.1", self.server.port), 20) as peer:
            peer.sendall(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
            peer.recv(1000)
        self.counts["listened"] += 1

    def run(self):
        ways = [self.classify] * 4 + [self.detect] * 3 + [self.look] * 2 + [
            self.deepstack, self.doods, self.tensors, self.frigate, self.rubbish, self.leave]
        if grpc:
            ways.append(self.call)
        if self.number == 0:  # one that loads waits for the other
            ways.append(self.administer)
        if SECONDS >= 60:
            ways.append(self.listen)
        try:
            while time.monotonic() < self.end and not self.wrong:
                self.random.choice(ways)()
        except Exception as error:  # told by the main thread
            self.wrong = error
        for one in (self.connection, self.peer and self.peer.socket, self.channel):
            if one:
                one.close()


def wait_for(wanted, what):
    until = time.monotonic() + 60
    while not wanted():
        assert time.monotonic() < until, what
        time.sleep(0.02)


def replace_models(server, clients, end, swaps):
    """A new version of a model after another; each takes over from the one before."""
    version = 1
    while time.monotonic() < end and not any(client.wrong for client in clients):
        version += 1
        server.add("classifier", version)
        wait_for(lambda: str(version) in server.json("GET", "/v2/models/classifier")["versions"],
                 f"version {version} does not come")
        shutil.rmtree(server.folder / "classifier" / str(version - 1))
        swaps.append(version)
        if version % 5 == 0:
            server.process.send_signal(signal.SIGHUP)


class Memory(threading.Thread):
    """What the server takes, at 20 times: KiB and descriptors."""

    def __init__(self, server):
        super().__init__()
        self.server, self.over, self.seen = server, threading.Event(), []
        self.maps = pathlib.Path(f"/proc/{server.process.pid}/maps").read_text()

    def run(self):
        while not self.over.wait(SECONDS / 20):
            self.seen.append((kib(self.server), n_descriptors(self.server)))

    def check(self):
        """Nothing to speak of comes after a fifth of the time; ThreadSanitizer's own memory is not judged."""
        first = len(self.seen) // 5
        early, late = self.seen[first:first + 3], self.seen[-3:]
        print("   KiB and descriptors:", " ".join(f"{kib}/{n}" for kib, n in self.seen))
        if SECONDS < 60 or "libtsan" in self.maps:
            return
        kib_early, kib_late = (min(kib for kib, _ in some) for some in (early, late))
        assert kib_late < kib_early * (1 + MORE) + MORE_KIB, "memory grows"


def kib(server):
    for line in pathlib.Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def n_descriptors(server):
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def n_threads(server):
    return len(os.listdir(f"/proc/{server.process.pid}/task"))


def port_in(server, text):
    return re.search(text, "".join(server.log))[1]


def best_label(server):
    return server.json("POST", "/infer?model=classifier&top=1", PICTURE)["predictions"][0]["label"]


def soak(server):
    server.grpc_port, server.zmq = port_in(server, r"gRPC on port (\d+)"), port_in(server, r"zmq at (\S+\d)")
    server.add("spare", 1, MODELS / "shapes_classifier.tflite")
    wait_for(lambda: server.ask("GET", "/v2/models/spare/ready")[0].status == 200, "spare is not loaded")
    server.label = best_label(server)
    threads = n_threads(server)
    for peer in [Peer(server.zmq) for _ in range(16)]:  # descriptors of those who left go with who comes next
        peer.socket.close()
    wait_for(lambda: n_threads(server) <= threads, "peers that left keep their places")
    before, start = n_descriptors(server), time.monotonic()
    end, swaps, memory = start + SECONDS, [], Memory(server)
    clients = [Client(server, i, end) for i in range(CLIENTS)]
    for thread in (*clients, memory):
        thread.start()
    try:
        replace_models(server, clients, end, swaps)
    finally:
        counts = collections.Counter()
        for client in clients:
            client.end = 0
        for client in clients:
            client.join(120)
            counts.update(client.counts)
        memory.over.set()
        memory.join()
    print(f"   {sum(counts.values())} requests in {time.monotonic() - start:.0f} s, {len(swaps)} models replaced: "
          f"{dict(sorted(counts.items(), key=str))}")
    for client in clients:
        assert not client.wrong, client.wrong
    assert swaps and counts[200] > 0
    memory.check()
    # A few for mapped models and idle connections; who listened and went away is missed at the next heartbeat.
    wait_for(lambda: n_descriptors(server) <= before + 4, f"{before} descriptors before")
    assert best_label(server) == server.label


def main():
    with Server("--max-connections-per-ip", "200", "--threads", "2", "--zmq", "tcp://127.0.0.1:*",
                "--deadline", "60000", "--camera-deadline", "60000") as server:
        soak(server)
    print("ok soak")


if __name__ == "__main__":
    sys.exit(main())
