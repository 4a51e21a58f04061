#!/usr/bin/env python3
"""`scree pull` against a server that is slow, cut off, wrong or hostile, and disks that are full.

usage: pull.py SCREE MODELS-FOLDER [TEST...]
"""
import hashlib
import http.server
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time

from server import MODELS, SCREE, main

MODEL = (MODELS / "shapes_classifier.tflite").read_bytes()
DIGEST = hashlib.sha256(MODEL).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves MODEL, as the path and the server's settings say."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        server, begin = self.server, 0
        server.asked.append(self.headers.get("Range"))
        if self.path == "/none.tflite":
            self.send_error(404)
            return
        if self.path == "/away.tflite":
            self.send_response(302)
            self.send_header("Location", "file:///etc/hostname")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data = {"/text.tflite": b"no model at all"}.get(self.path, MODEL)
        if self.headers.get("Range") and server.ranges:
            begin = int(self.headers["Range"].split("=")[1].rstrip("-"))
            if begin >= len(data):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(data) - begin))
        self.end_headers()
        for at in range(begin, len(data), 4096):
            if server.stop_after is not None and at >= server.stop_after:
                self.close_connection = True
                return
            self.wfile.write(data[at:at + 4096])
            time.sleep(server.delay)


class Source:
    """The server, and a folder to pull into."""

    def __init__(self, ranges=True, stop_after=None, delay=0):
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.handle_error = lambda *_: None  # clients that are killed
        self.http.asked, self.http.ranges = [], ranges
        self.http.stop_after, self.http.delay = stop_after, delay
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def __enter__(self):
        self.temp = tempfile.TemporaryDirectory()
        self.folder = pathlib.Path(self.temp.name)
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()
        self.temp.cleanup()

    def command(self, path="/m.tflite", *options, folder=None):
        return [SCREE, "pull", f"http://127.0.0.1:{self.http.server_port}{path}", "--models",
                str(folder or self.folder), *options]

    def pull(self, path="/m.tflite", *options, folder=None):
        done = subprocess.run(self.command(path, *options, folder=folder), capture_output=True,
                              text=True, timeout=60, check=False)
        return done.returncode, done.stdout + done.stderr

    def place(self, name="m", file="model.tflite"):
        return self.folder / name / "1" / file


def test_pull():
    with Source() as source:
        code, text = source.pull("/m.tflite", "--sha256", DIGEST)
        assert code == 0, text
        assert source.place().read_bytes() == MODEL
        assert os.listdir(source.place().parent) == ["model.tflite"]
        code, text = source.pull("/m.tflite", "--sha256", DIGEST)
        assert code == 0 and "is there already" in text and len(source.http.asked) == 1, text


def test_what_is_refused():
    other = "0" * 64
    with Source() as source:
        for path, options, why in (
                ("/m.tflite", (), "without https a digest is needed"),
                ("/m.tflite", ("--sha256", "xyz"), "is no SHA-256"),
                ("/m.tflite", ("--sha256", "../../../../" + DIGEST[12:]), "is no SHA-256"),
                ("/m.tflite", ("--sha256", other), "its SHA-256 is " + DIGEST),
                ("/m.tflite", ("--sha256", DIGEST, "--max-size", "1000"), "larger than 1000 bytes"),
                ("/m.tflite", ("--sha256", DIGEST, "--name", "../up"), "needs a name"),
                ("/none.tflite", ("--sha256", DIGEST), "the server says 404"),
                ("/away.tflite", ("--sha256", DIGEST), "no URL of https"),
                ("/text.tflite", ("--sha256", hashlib.sha256(b"no model at all").hexdigest()),
                 "not a .tflite file")):
            code, text = source.pull(path, *options)
            assert code in (1, 2, 4) and why in text, (path, options, code, text)
            assert not list(source.folder.rglob("model.tflite")), path


def test_links_lead_nowhere():
    with Source() as source, tempfile.TemporaryDirectory() as outside:
        os.symlink(outside, source.folder / "m")
        code, text = source.pull("/m.tflite", "--sha256", DIGEST)
        assert code != 0 and not os.listdir(outside), text


def test_a_connection_that_ends():
    with Source(stop_after=40960) as source:
        code, _ = source.pull("/m.tflite", "--sha256", DIGEST)
        assert code == 1
        assert source.place(file=".model.tflite.part").stat().st_size > 0
        source.http.stop_after = None
        code, text = source.pull("/m.tflite", "--sha256", DIGEST)
        assert code == 0 and source.place().read_bytes() == MODEL, text
        assert source.http.asked[-1] and source.http.asked[-1].startswith("bytes="), source.http.asked


def test_what_was_kept_does_not_fit():
    """It is pulled again from the beginning; also from a server that knows no ranges."""
    for ranges in (True, False):
        with Source(ranges=ranges) as source:
            source.place().parent.mkdir(parents=True)
            source.place(file=".model.tflite.part").write_bytes(b"x" * 5000)
            code, text = source.pull("/m.tflite", "--sha256", DIGEST)
            assert code == 0 and source.place().read_bytes() == MODEL, text


def test_kill_at_any_time():
    """Nothing but whole models is ever in place, and in the end it is there."""
    with Source(delay=0.005) as source:
        for i in range(12):
            process = subprocess.Popen(source.command("/m.tflite", "--sha256", DIGEST),
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(0.01 + 0.012 * i)
            process.send_signal(signal.SIGKILL)
            process.wait(20)
            assert not source.place().exists() or source.place().read_bytes() == MODEL
        code, text = source.pull("/m.tflite", "--sha256", DIGEST)
        assert code == 0 and source.place().read_bytes() == MODEL, text


def test_two_at_once():
    with Source(delay=0.01) as source:
        first = subprocess.Popen(source.command("/m.tflite", "--sha256", DIGEST),
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            if source.place(file=".model.tflite.part").exists():
                break
            time.sleep(0.01)
        time.sleep(0.05)
        code, text = source.pull("/m.tflite", "--sha256", DIGEST)
        assert code == 1 and "another pull" in text, (code, text)
        assert first.wait(30) == 0


def test_full_disk():
    with Source() as source:
        mounted = source.folder / "small"
        mounted.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(mounted)],
                          capture_output=True, check=False).returncode != 0:
            print("   skipped: nothing can be mounted here")
            return
        try:
            code, text = source.pull("/m.tflite", "--sha256", DIGEST, folder=mounted)
            assert code == 1 and "No space left on device" in text, (code, text)
            assert not list(mounted.rglob("model.tflite"))
        finally:
            subprocess.run(["umount", str(mounted)], check=True)


def test_catalog():
    catalog = json.loads((MODELS / "catalog.json").read_text())["models"]
    done = subprocess.run([SCREE, "pull", "--list", "--json", "--catalog",
                           str(MODELS / "catalog.json")], capture_output=True, check=True)
    assert json.loads(done.stdout) == catalog and len(catalog) >= 12
    for name, entry in catalog.items():
        assert entry["url"].startswith("https://") and entry["license"], name
    done = subprocess.run([SCREE, "pull", "none", "--catalog", str(MODELS / "catalog.json")],
                          capture_output=True, check=False)
    assert done.returncode == 4 and b"not in the catalog" in done.stderr, done


if __name__ == "__main__":
    sys.exit(main(globals()))
