#!/usr/bin/env python3
"""Frigate's zmq detector: the server as a REQ socket sees it, over TCP and over a local socket.

Speaks ZMTP with a socket of its own; with python3-zmq, by that as well.

usage: frigate.py SCREE MODELS-FOLDER [TEST...]
"""
import concurrent.futures
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib

from server import MODELS, PICTURE, SCREE, Server, main

try:
    import zmq
except ImportError:
    zmq = None

GREETING = b"\xff" + bytes(7) + b"\1\x7f\3\1" + b"NULL".ljust(20, b"\0") + bytes(32)


def command(body):
    return bytes([4, len(body)]) + body


def frame(body, more):
    if len(body) < 256:
        return bytes([more, len(body)]) + body
    return bytes([more | 2]) + struct.pack(">Q", len(body)) + body


def ready(kind):
    return command(b"\5READY\13Socket-Type" + struct.pack(">I", len(kind)) + kind)


class Peer:
    """A REQ socket."""

    def __init__(self, endpoint, kind=b"REQ"):
        if endpoint.startswith("ipc://"):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(30)
            self.socket.connect(endpoint[6:])
        else:
            self.socket = socket.create_connection(("127.0.0.1", endpoint.split(":")[-1]), 30)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(GREETING + ready(kind))
        greeting = self.read(64)
        assert greeting[:1] == b"\xff" and greeting[9:16] == b"\x7f\3\0NULL", greeting
        assert self.read_frame() == (4, b"\5READY\13Socket-Type\0\0\0\3REP")

    def read(self, n):
        parts = []
        while n > 0:
            part = self.socket.recv(n)
            if not part:
                raise ConnectionError("closed")
            parts.append(part)
            n -= len(part)
        return b"".join(parts)

    def read_frame(self):
        flags = self.read(1)[0]
        n = struct.unpack(">Q", self.read(8))[0] if flags & 2 else self.read(1)[0]
        return flags, self.read(n)

    def send(self, *frames, envelope=(b"",)):
        all_frames = [*envelope, *frames]
        self.socket.sendall(b"".join(frame(body, i + 1 < len(all_frames))
                                     for i, body in enumerate(all_frames)))

    def receive(self):
        frames, flags = [], 1
        while flags & 1:
            flags, body = self.read_frame()
            frames.append(body)
        return frames

    def ask(self, *frames):
        self.send(*frames)
        empty, *answer = self.receive()
        assert empty == b"", empty
        return answer

    def ask_json(self, *frames):
        answer, = self.ask(json.dumps(frames[0]).encode(), *frames[1:])
        return json.loads(answer)

    def detect(self, header, pixels):
        """Rows of [class, score, top, left, bottom, right]."""
        answer, = self.ask(json.dumps(header).encode(), pixels)
        assert len(answer) == 480, len(answer)
        return [row for row in struct.iter_unpack("<6f", answer)]


def read_png(data):
    """Width, height and RGB of a PNG of 8 bits a sample."""
    at, idat = 8, b""
    while at < len(data):
        n, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + n]
        if kind == b"IHDR":
            w, h, depth, color = struct.unpack(">IIBB", body[:10])
            assert (depth, color) == (8, 2)
        elif kind == b"IDAT":
            idat += body
        at += 12 + n
    raw, out, above = zlib.decompress(idat), bytearray(), bytearray(3 * w)
    for y in range(h):
        kind, line = raw[y * (3 * w + 1)], bytearray(raw[y * (3 * w + 1) + 1:(y + 1) * (3 * w + 1)])
        for i in range(3 * w):
            a, b = line[i - 3] if i >= 3 else 0, above[i]
            c = above[i - 3] if i >= 3 else 0
            p = a + b - c
            paeth = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            line[i] = (line[i] + (0, a, b, (a + b) // 2, paeth)[kind]) & 255
        out += line
        above = line
    return w, h, bytes(out)


W, H, PIXELS = read_png(next(MODELS.glob("pictures/single_*.png")).read_bytes())
HEADER = {"shape": [1, H, W, 3], "dtype": "uint8", "model_type": "ssd"}
ZEROS = [(0.0,) * 6] * 20


def start(*options, endpoint="tcp://127.0.0.1:0", **more):
    server = Server("--zmq", endpoint, *options, **more)
    server.zmq = next(line.split()[-1] for line in server.log if "zmq at " in line)
    return server


def expected(server, model="detector"):
    """The same picture by HTTP."""
    answer = server.json("POST", f"/detect?model={model}&top=20&threshold=0.0001",
                         b"P6 %d %d 255\n" % (W, H) + PIXELS)
    return [(found["class_id"], found["confidence"], found["bbox"][1] / H, found["bbox"][0] / W,
             found["bbox"][3] / H, found["bbox"][2] / W) for found in answer["detections"]]


def assert_found(rows, wanted):
    """All that was found over HTTP with a score that counts is in the rows, in the same order."""
    assert len(rows) == 20 and wanted and wanted[0][1] > 0.4, wanted
    scores = [row[1] for row in rows]
    assert scores == sorted(scores, reverse=True), scores
    for row, same in zip(rows, wanted):
        assert all(abs(a - b) < 1e-4 for a, b in zip(row, same)), (row, same)


def test_detections():
    with start() as server:
        peer = Peer(server.zmq)
        assert peer.ask_json({"model_request": True, "model_name": "ssdlite.tflite"}) == {
            "model_available": True, "model_loaded": True}
        for _ in range(3):
            assert_found(peer.detect(HEADER, PIXELS), expected(server))
        _, text = server.ask("GET", "/metrics")
        asked = b'npu_requests_total{model="detector",version="1",api="zmq",code="200"} 3\n'
        assert asked in text, text
        assert b'npu_request_duration_seconds_count{model="detector",api="zmq"} 3\n' in text, text
        assert peer.detect({**HEADER, "shape": [1, H]}, PIXELS) == ZEROS
        # They are kept when a version goes that they are not of.
        server.add("other", 1, MODELS / "shapes_detector.tflite")
        server.reload(lambda: server.ask("GET", "/v2/models/other/ready")[0].status == 200)
        shutil.rmtree(server.folder / "other")
        server.reload(lambda: server.ask("GET", "/v2/models/other")[0].status == 404)
        _, text = server.ask("GET", "/metrics")
        assert asked in text, text
        assert b'npu_requests_total{model="",version="",api="zmq",code="400"} 1\n' in text, text


def test_a_model_by_its_name():
    with start(models=("classifier",)) as server:
        peer = Peer(server.zmq)
        # Nothing here detects.
        assert peer.ask_json({"model_request": True, "model_name": "classifier.tflite"}) == {
            "model_available": False, "model_loaded": False}
        assert peer.detect(HEADER, PIXELS) == ZEROS
        server.add("one", 1, MODELS / "shapes_detector.tflite")
        server.add("two", 1, MODELS / "shapes_detector.tflite")
        server.reload(lambda: server.ask("POST", "/detect?model=two", PICTURE)[0].status == 200)
        assert peer.ask_json({"model_request": True, "model_name": "two.tflite"})["model_loaded"]
        assert_found(peer.detect(HEADER, PIXELS), expected(server, "two"))
        shutil.rmtree(server.folder / "two")
        server.reload(lambda: server.ask("POST", "/detect?model=two", b"")[0].status == 404)
        # Gone is not silent.
        assert peer.detect(HEADER, PIXELS) == ZEROS


def test_everything_is_answered():
    with start() as server:
        peer = Peer(server.zmq)
        assert peer.ask_json({"model_data": True, "model_name": "x"}, b"y" * 1000) == {
            "model_saved": False, "model_loaded": False}
        # More than is kept of a request.
        assert peer.ask_json({"model_data": True, "model_name": "x"}, bytes(9 << 20)) == {
            "model_saved": False, "model_loaded": False}
        assert peer.detect({**HEADER, "shape": [1, 2000, 2000, 3]}, bytes(12000000)) == ZEROS
        for change in ({"shape": [1, H, W, 1]}, {"shape": [1, H, W, 3, 1]}, {"shape": [2, H, W, 3]},
                       {"shape": [1, -1, W, 3]}, {"shape": [1, 0, 0, 3]}, {"shape": "x"},
                       {"shape": [1, 1 << 40, W, 3]}, {"dtype": "float32"}, {"dtype": None},
                       {"shape": [1, H + 1, W, 3]}):
            assert peer.detect({**HEADER, **change}, PIXELS) == ZEROS, change
        for frames in ((b"",), (b"[]", PIXELS), (b"{", PIXELS), (b"\xff\xfe", b""),
                       (json.dumps(HEADER).encode(),),
                       (json.dumps(HEADER).encode(), PIXELS, b"more")):
            answer, = peer.ask(*frames)
            assert answer == bytes(480), frames
        assert peer.detect(HEADER, PIXELS) != ZEROS


def test_other_sizes_are_resized():
    with start() as server:
        small = b"".join(PIXELS[3 * W * y:3 * W * (y + 1)][3 * x:3 * x + 3]
                         for y in range(0, H - 1, 2) for x in range(0, W - 1, 2))
        rows = Peer(server.zmq).detect({**HEADER, "shape": [1, H // 2, W // 2, 3]}, small)
        best = expected(server)[0]
        assert any(row[0] == best[0] and all(abs(a - b) < 0.1 for a, b in zip(row[2:], best[2:]))
                   for row in rows), (rows, best)


def test_peers_at_once():
    # Eight wait for each other: on a slow machine the last for more than the second that cameras have.
    with start("--camera-deadline", "60000") as server:
        wanted, failures = expected(server), []

        def run(kind):
            try:
                peer = Peer(server.zmq, kind)
                for _ in range(20):
                    assert_found(peer.detect(HEADER, PIXELS), wanted)
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=run, args=(kind,)) for kind in [b"REQ", b"DEALER"] * 4]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures, failures


def test_a_deadline():
    """A picture that takes longer than a millisecond to resize."""
    side, header = 1180, {"shape": [1, 1180, 1180, 3], "dtype": "uint8"}
    with start("--camera-deadline", "1") as server:
        assert Peer(server.zmq).detect(header, bytes(3 * side * side)) == ZEROS
        _, text = server.ask("GET", "/metrics")
        assert b'npu_requests_total{model="detector",version="1",api="zmq",code="504"} 1\n' in text, text


def test_requests_are_answered_in_order():
    with start() as server:
        peer = Peer(server.zmq, b"DEALER")
        for i in range(5):
            peer.send(json.dumps(HEADER).encode(), PIXELS, envelope=(b"%d" % i, b""))
        for i in range(5):
            address, empty, answer = peer.receive()
            assert (address, empty, len(answer)) == (b"%d" % i, b"", 480)


def test_reloads_are_not_noticed():
    with start(models=("detector",)) as server:
        peer, done, failures = Peer(server.zmq), threading.Event(), []
        wanted = expected(server)

        def ask():
            try:
                while not done.is_set():
                    assert_found(peer.detect(HEADER, PIXELS), wanted)
            except Exception as error:
                failures.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        for version in range(2, 6):
            server.add("detector", version)
            server.reload(lambda: server.json("POST", "/detect", b"P6 1 1 255\nabc")["version"] ==
                          str(version))
        done.set()
        thread.join()
        assert not failures, failures


def test_it_listens_before_the_models_are_there():
    """Loading takes two seconds: so long the server waits for a delegate that hangs."""
    delegate = os.environ.get("DELEGATE")
    if not delegate:
        print("# skipped: DELEGATE names no delegate that hangs")
        return
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "zmq")
        process = subprocess.Popen(
            [SCREE, "serve", "--model", str(MODELS / "shapes_detector.tflite"), "--address",
             "127.0.0.1", "--port", "0", "--zmq", "ipc://" + path, "--device", "teflon",
             "--delegate", delegate, "--delegate-option", "fault=hang_prepare",
             "--delegate-timeout", "2"], stderr=subprocess.PIPE)
        try:
            peer = None
            for _ in range(200):
                try:
                    peer = Peer("ipc://" + path)
                    break
                except (FileNotFoundError, ConnectionRefusedError):  # not there, or about to listen
                    time.sleep(0.02)
            assert peer, "nobody listens"
            assert peer.detect(HEADER, PIXELS) == ZEROS
            begin = time.monotonic()
            assert peer.ask_json({"model_request": True, "model_name": "x"})["model_loaded"] is True
            assert time.monotonic() - begin > 0.5, "an answer before the model was there"
            assert peer.detect(HEADER, PIXELS)[0][1] > 0.4
        finally:
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=20)
        assert process.returncode == 0, log
        assert not os.path.exists(path)


def test_local_socket():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "zmq")
        stale = socket.socket(socket.AF_UNIX)
        stale.bind(path)
        stale.close()
        with start(endpoint="ipc://" + path) as server:
            assert_found(Peer(server.zmq).detect(HEADER, PIXELS), expected(server))
            # One that is in use is not taken away.
            second = subprocess.run([SCREE, "serve", "--models", str(server.folder), "--port", "0",
                                     "--zmq", "ipc://" + path], capture_output=True, text=True,
                                    timeout=20, check=False)
            assert second.returncode == 1 and "in use" in second.stderr, second
            Peer(server.zmq)
        assert not os.path.exists(path)
        # What is no socket was not left behind by a server.
        pathlib.Path(path).write_text("of somebody else")
        other = subprocess.run([SCREE, "serve", "--model", str(MODELS / "shapes_detector.tflite"), "--port", "0",
                                "--zmq", "ipc://" + path], capture_output=True, text=True, timeout=20, check=False)
        assert other.returncode == 1 and "in use" in other.stderr, other
        assert pathlib.Path(path).read_text() == "of somebody else"


def test_endpoints():
    for endpoint in ("", "tcp://", "tcp://*", "tcp://*:x", "tcp://*:65536", "tcp://name:1", "ipc://",
                     "udp://*:1", "ipc://" + "x" * 200, "tcp://[::1:5", "*:5555"):
        process = subprocess.run([SCREE, "serve", "--model", str(MODELS / "shapes_detector.tflite"),
                                  "--port", "0", "--zmq", endpoint], capture_output=True, text=True,
                                 timeout=20, check=False)
        assert process.returncode != 0, endpoint
    for endpoint in ("tcp://*:0", "tcp://127.0.0.1:*", "tcp://0.0.0.0:0"):
        with start(endpoint=endpoint) as server:
            Peer(server.zmq)


def test_strangers():
    with start() as server:
        port = int(server.zmq.split(":")[-1])
        for hello in (b"GET / HTTP/1.1\r\n\r\n", GREETING.replace(b"NULL", b"PLAN"),
                      GREETING + ready(b"PUB"), GREETING + ready(b"REQ") + b"\x80\0",
                      GREETING[:10] + b"\1", GREETING + ready(b"REQ") + b"\1\0" * 20):
            with socket.create_connection(("127.0.0.1", port), 20) as peer:
                peer.sendall(hello)
                while peer.recv(65536):
                    pass
        # More than there are places: nobody waits for ever, and those who came first stay.
        peers = [Peer(server.zmq) for _ in range(16)]
        with socket.create_connection(("127.0.0.1", port), 20) as peer:
            assert peer.recv(1) == b""
        assert peers[0].detect(HEADER, PIXELS) != ZEROS
        peers[1].socket.close()
        time.sleep(0.2)
        assert Peer(server.zmq).detect(HEADER, PIXELS) != ZEROS


def time_until_closed(peer, drip):
    """Seconds; with a byte of `drip` a second."""
    begin = time.monotonic()
    peer.settimeout(1)
    while time.monotonic() - begin < 60:
        try:
            peer.send(drip)
            while peer.recv(65536):
                pass
            break
        except TimeoutError:
            pass
        except OSError:
            break
    return time.monotonic() - begin


def test_who_takes_too_long():
    """A greeting and a request that never end; but not requests that are each begun with the one before."""
    with start() as server, concurrent.futures.ThreadPoolExecutor() as threads:
        silent = socket.create_connection(("127.0.0.1", server.zmq.split(":")[-1]))
        endless, busy = Peer(server.zmq).socket, Peer(server.zmq)
        endless.sendall(frame(b"", 1) + frame(b"{}", 1) + b"\2" + struct.pack(">Q", 1 << 30))
        greets = threads.submit(time_until_closed, silent, b"")
        asks = threads.submit(time_until_closed, endless, b"x")
        request = frame(b"", 1) + frame(b"{}", 1) + frame(b"x" * 64, 0)
        begin = time.monotonic()
        busy.socket.sendall(request[:40])
        while time.monotonic() - begin < 23:
            busy.socket.sendall(request[40:] + request[:40])
            assert busy.receive()[1] == bytes(480)
            time.sleep(0.2)
        assert 9 < greets.result() < 30 and 19 < asks.result() < 40, (greets.result(), asks.result())


def test_what_it_takes_beside_the_model():
    """Not a measurement of this machine: a step of 40 ms, as a wrong socket option gives, fails."""
    with start("--threads", "1") as server:
        peer, beside = Peer(server.zmq), []
        for _ in range(200):
            begin = time.perf_counter()
            peer.detect({**HEADER, "dtype": "none"}, PIXELS)
            beside.append((time.perf_counter() - begin) * 1e3)
        print(f"# {len(PIXELS)} bytes there and 480 back: {statistics.median(beside):.3f} ms, "
              f"at best {min(beside):.3f} ms")
        # In every exchange it would be, and in a tenth of them even a busy machine has time.
        assert sorted(beside)[len(beside) // 10] < 10, beside


def test_with_zmq():
    if zmq is None:
        print("# skipped: no python3-zmq here")
        return
    with start() as server:
        context = zmq.Context()
        request = context.socket(zmq.REQ)
        request.setsockopt(zmq.RCVTIMEO, 20000)
        request.setsockopt(zmq.LINGER, 0)
        request.setsockopt(zmq.HEARTBEAT_IVL, 100)
        request.connect(server.zmq)
        for _ in range(10):
            request.send_multipart([json.dumps(HEADER).encode(), PIXELS])
            rows = list(struct.iter_unpack("<6f", request.recv()))
            assert_found(rows, expected(server))
        time.sleep(0.5)
        request.send_multipart([json.dumps({"model_request": True}).encode()])
        assert json.loads(request.recv())["model_loaded"]
        request.close()
        context.term()


if __name__ == "__main__":
    sys.exit(main(globals()))
