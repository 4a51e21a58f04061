#!/usr/bin/env python3
"""The server as its clients see it: starts `scree serve` on the embedded models and asks it.

usage: server.py SCREE MODELS-FOLDER [TEST...]
"""
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

SCREE, MODELS = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
PICTURE = next(MODELS.glob("pictures/*.png")).read_bytes()


class Server:
    """`scree serve` on a free port, with a repository of the two models."""

    def __init__(self, *options, models=("classifier", "detector")):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="scree-serve-"))
        for name in models:
            self.add(name, 1)
        self.process = subprocess.Popen(
            [SCREE, "serve", "--models", str(self.folder), "--address", "127.0.0.1", "--port", "0",
             "--threads", "1", *options], stderr=subprocess.PIPE, text=True)
        self.log = []
        for line in self.process.stderr:
            self.log.append(line)
            if "listening on port" in line:
                self.port = int(re.search(r"port (\d+)", line)[1])
                break
        else:
            raise SystemExit("the server did not start: " + "".join(self.log))
        self.reader = threading.Thread(target=lambda: self.log.extend(self.process.stderr),
                                       daemon=True)
        self.reader.start()

    def add(self, name, version, source=None, labels=MODELS / "shapes_labels.txt"):
        folder = self.folder / name / str(version)
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(labels, folder / "labels.txt")
        # By rename, as a model that is served must be replaced, and last: with it the version is there.
        shutil.copy(source or MODELS / f"shapes_{name}.tflite", folder / "new")
        os.rename(folder / "new", folder / "model.tflite")

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        text = response.read()
        connection.close()
        return response, text

    def json(self, method, path, body=None, headers=None, status=200):
        response, text = self.ask(method, path, body, headers)
        assert response.status == status, (path, response.status, text)
        return json.loads(text)

    def form(self, path, status=200, **parts):
        body = b""
        for name, value in parts.items():
            is_file = isinstance(value, bytes)
            body += b'--B\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n' % (
                name.encode(), b'; filename="f"' if is_file else b"",
                value if is_file else value.encode())
        return self.json("POST", path, body + b"--B--\r\n",
                         {"Content-Type": "multipart/form-data; boundary=B"}, status)

    def reload(self, wanted):
        """Sends SIGHUP and waits until wanted() holds."""
        self.process.send_signal(signal.SIGHUP)
        for _ in range(100):
            if wanted():
                return
            time.sleep(0.05)
        raise AssertionError("the server did not reload: " + "".join(self.log))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(20)
        self.reader.join(20)
        shutil.rmtree(self.folder)
        assert code == 0, f"exit code {code}: " + "".join(self.log)


def test_old_service():
    with Server() as server:
        assert server.json("GET", "/health") == {
            "status": "healthy", "model_loaded": True, "inference_count": 0}
        answer = server.form("/infer", image=PICTURE)
        assert answer["success"] and len(answer["predictions"]) <= 5
        best = answer["predictions"][0]
        assert best["label"] and best["score"] == int(best["score"]), best
        raw = server.json("POST", "/infer?top=1", PICTURE)
        assert raw["predictions"] == [best], (raw, best)
        assert server.json("GET", "/")["status"]["total_inferences"] == 2
        _, text = server.ask("GET", "/metrics")
        assert b"\nnpu_inference_total 2\n" in text, text
        assert server.json("POST", "/infer", status=400) == {"error": "No image provided"}
        # curl --data-binary without a type says that it is a form, which it is not.
        server.json("POST", "/infer", PICTURE, {"Content-Type": "application/x-www-form-urlencoded"})


def test_who_is_gone_is_noticed():
    """Connections are asked whether they are there; column "tr" of proc(5) says 02 for that timer."""
    with Server(models=()) as server, socket.create_connection(("127.0.0.1", server.port)) as peer:
        server.json("GET", "/livez")
        ends = {(f":{server.port:04X}", f":{peer.getsockname()[1]:04X}")}
        rows = [line.split() for name in ("tcp", "tcp6") for line in open(f"/proc/net/{name}")]
        timers = [row[5][:2] for row in rows if (row[1][-5:], row[2][-5:]) in ends]
        assert timers == ["02"], timers


def test_refusals():
    with Server() as server:
        for method, path, status in (("GET", "/none", 404), ("GET", "/infer", 405),
                                     ("DELETE", "/health", 405),
                                     ("POST", "/infer?model=none", 404),
                                     ("POST", "/infer?version=7", 404)):
            server.json(method, path, b"x" if method == "POST" else None, status=status)
        for method, path, allow in (("GET", "/infer", "POST"), ("OPTIONS", "/health", "GET, HEAD"),
                                    ("PUT", "/v2/models/classifier/infer", "POST")):
            response, _ = server.ask(method, path)
            assert (response.status, response.getheader("Allow")) == (405, allow), (path, response.getheaders())
        for path in ("/infer?top=0", "/infer?top=x", "/infer?priority=best",
                     "/infer?timeout_ms=nan"):
            server.json("POST", path, PICTURE, status=400)
        server.json("POST", "/infer", b"no picture", status=400)
        server.json("POST", "/infer", PICTURE[:200], status=400)
        server.json("POST", "/infer", b"--B", {"Content-Type": "multipart/form-data; boundary=B"},
                    status=400)
        server.json("POST", "/infer", b"--B", {"Content-Type": "multipart/form-data"}, status=400)
        server.json("GET", "/health")


def test_who_leaves_in_the_middle_leaves_room():
    request = b"POST /infer HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(PICTURE) + PICTURE
    with Server("--max-connections-per-ip", "20") as server:
        for i in range(200):
            with socket.create_connection(("127.0.0.1", server.port), 20) as peer:
                peer.sendall(request[:1 + i * (len(request) - 2) // 200])
            if i % 10 == 9:
                time.sleep(0.25)
        server.json("POST", "/infer", PICTURE)


def test_a_body_that_is_too_large_is_refused_by_its_headers():
    with Server() as server:
        for length in (b"10485761", b"9223372036854775807", b"99999999999999999999999"):
            with socket.create_connection(("127.0.0.1", server.port), 20) as peer:
                peer.sendall(b"POST /infer HTTP/1.1\r\nHost: x\r\nContent-Length: " + length +
                             b"\r\n\r\n")
                answer = peer.recv(4096)
                assert answer[9:12] in (b"413", b"400"), answer


def send_chunks(server, chunks):
    """The answer to a body in chunks; b"" if the server gave up on it."""
    answer = b""
    with socket.create_connection(("127.0.0.1", server.port), 20) as peer:
        try:
            peer.sendall(b"POST /infer?top=1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
                         b"Connection: close\r\n\r\n" + chunks)
            while part := peer.recv(65536):
                answer += part
        except ConnectionError:
            pass
    return answer


def test_chunks():
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in PICTURE) + b"0\r\n\r\n"
    with Server("--max-chunks", str(len(PICTURE))) as server:
        answer = send_chunks(server, chunks)
        assert b" 200 " in answer[:20] and b"Content-Length:" in answer, answer
    with Server("--max-chunks", str(len(PICTURE) - 100 - len(PICTURE) // 1024)) as server:
        answer = send_chunks(server, chunks)
        assert b" 413 " in answer[:20], answer
        # A million of them are not read to their end.
        assert b" 200 " not in send_chunks(server, b"1\r\nx\r\n" * 1000000 + b"0\r\n\r\n")
        server.json("GET", "/health")


def test_an_answer_comes_in_one_piece():
    with Server() as server:
        with socket.create_connection(("127.0.0.1", server.port), 20) as peer:
            for _ in range(5):
                peer.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
                answer = peer.recv(65536)
                head, _, body = answer.partition(b"\r\n\r\n")
                length = [line for line in head.split(b"\r\n")
                          if line.lower().startswith(b"content-length:")]
                assert int(length[0].split(b":")[1]) == len(body) > 0, answer


def test_models_come_and_go():
    with Server(models=("classifier",)) as server:
        server.add("classifier", 2)
        server.reload(lambda: server.ask("POST", "/infer?version=2", PICTURE)[0].status == 200)
        assert server.json("POST", "/infer", PICTURE)["version"] == "2"
        server.json("POST", "/infer?version=1", PICTURE, status=503)
        # A version that does not load changes nothing.
        bad = server.folder / "bad"
        bad.write_bytes(b"no model at all")
        server.add("classifier", 3, bad)
        server.reload(lambda: any("classifier 3" in line for line in server.log))
        assert server.json("POST", "/infer", PICTURE)["version"] == "2"
        server.json("POST", "/infer?version=3", PICTURE, status=503)
        server.add("detector", 1)
        server.reload(lambda: server.ask("POST", "/detect?model=detector", PICTURE)[0].status == 200)
        shutil.rmtree(server.folder / "detector")
        server.reload(lambda: server.ask("POST", "/detect?model=detector", PICTURE)[0].status == 404)


def test_a_model_that_is_not_there_is_told():
    with Server("--model", "nowhere/cup.tflite", models=("classifier",)) as server:
        why = "cup 1: nowhere/cup.tflite: No such file or directory"
        assert any(why in line for line in server.log), server.log
        cup, = [m for m in server.json("POST", "/v2/repository/index", b"{}") if m["name"] == "cup"]
        assert cup["reason"] == "cup.tflite: No such file or directory", cup
        server.json("POST", "/infer?model=cup", PICTURE, status=503)


def test_a_model_that_does_not_load_is_not_the_default():
    with Server(models=("detector",)) as server:
        assert server.json("POST", "/infer", PICTURE)["model"] == "detector"
        server.add("a", 1, MODELS / "shapes_labels.txt")
        server.reload(lambda: any("a 1" in line for line in server.log))
        assert server.json("POST", "/infer", PICTURE)["model"] == "detector"
        server.json("GET", "/health")
        server.json("GET", "/readyz")
        server.json("POST", "/infer?model=a", PICTURE, status=503)


def test_overload_is_told():
    with Server("--queue", "1") as server:
        statuses = []

        def ask():
            for _ in range(10):
                response, _ = server.ask("POST", "/infer", PICTURE)
                statuses.append(response.status)
                assert response.status == 200 or response.getheader("Retry-After") == "1"

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(statuses) == 80 and set(statuses) <= {200, 503} and 200 in statuses, statuses


def test_swaps_under_load():
    with Server(models=("classifier",)) as server:
        done, statuses = threading.Event(), []

        def ask():
            while not done.is_set():
                statuses.append(server.ask("POST", "/infer", PICTURE)[0].status)

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        for version in range(2, 12):
            server.add("classifier", version)
            server.reload(lambda: server.json("POST", "/infer", PICTURE)["version"] == str(version))
        done.set()
        for thread in threads:
            thread.join()
        assert set(statuses) == {200}, set(statuses)


def main(namespace):
    """Runs the tests of a module, or those that the command line names."""
    tests = [(name, test) for name, test in namespace.items() if name.startswith("test_")]
    failed = 0
    for name, test in tests:
        if sys.argv[3:] and name not in sys.argv[3:]:
            continue
        try:
            test()
            print("ok", name, flush=True)
        except AssertionError as error:
            failed += 1
            print("FAILED", name, repr(error)[:2000], flush=True)
    return failed > 0


if __name__ == "__main__":
    sys.exit(main(globals()))
