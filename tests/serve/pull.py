#!/usr/bin/env python3
"""scree pull against a server of our own that does what servers, and those who mean harm, do.

usage: pull.py SCREE MODELS-FOLDER [TEST...]
"""
import contextlib
import gzip
import hashlib
import http.client
import http.server
import io
import json
import os
import pathlib
import random
import resource
import shutil
import socket
import socketserver
import ssl
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import zipfile

SCREE = str(pathlib.Path(sys.argv[1]).resolve())
MODELS = pathlib.Path(sys.argv[2]).resolve()
MODEL = (MODELS / "shapes_classifier.tflite").read_bytes()
LABELS = (MODELS / "shapes_labels.txt").read_bytes()
DIGEST = hashlib.sha256(MODEL).hexdigest()


class Skip(Exception):
    """Why a test does not run here."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.asked.append((self.path, dict(self.headers)))
        answer = self.server.answers.get(self.path.split("?")[0])
        if callable(answer):
            answer(self)
        elif answer is None:
            self.reply(404, b"nothing")
        else:
            self.file(answer)

    def reply(self, status, body, **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def file(self, data, etag=None, pace=None):
        """As a good server gives a file: ranges, if it is still the same."""
        etag = etag or '"' + hashlib.sha256(data).hexdigest()[:16] + '"'
        wanted, first = self.headers.get("Range"), 0
        if wanted and self.headers.get("If-Range", etag) == etag:
            first = int(wanted.split("=")[1].rstrip("-"))
            if first >= len(data):
                return self.reply(416, b"")
        self.send_response(206 if first else 200)
        self.send_header("ETag", etag)
        self.send_header("Content-Length", str(len(data) - first))
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        for at in range(first, len(data), 4096):
            self.wfile.write(data[at:at + 4096])
            if pace:
                time.sleep(pace)
        return None


class Web(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def __init__(self, context=None, address="127.0.0.1", **answers):
        super().__init__((address, 0), Handler)
        self.answers = {"/" + name.replace("__", "."): answer for name, answer in answers.items()}
        self.asked = []
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.scheme = "https" if context else "http"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def handle_error(self, *_):
        pass  # clients that go away are what these tests are about

    def url(self, path="/m.tflite", host="127.0.0.1"):
        return f"{self.scheme}://{host}:{self.server_address[1]}{path}"

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


class Place:
    """A folder of models of its own."""

    def __enter__(self):
        self.temp = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.temp.name) / "models"
        self.path.mkdir()
        return self

    def __exit__(self, *_):
        self.temp.cleanup()

    def command(self, *words):
        return [SCREE, "pull", "--models", str(self.path), "--json", *words]

    def pull(self, *words, code=0, before=None):
        """The answer as JSON, or what stderr says."""
        done = subprocess.run(self.command(*words), capture_output=True, text=True, timeout=100, check=False,
                              preexec_fn=before)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return json.loads(done.stdout) if code == 0 else done.stderr

    def files(self):
        return {str(p.relative_to(self.path)): p.read_bytes() for p in self.path.rglob("*") if p.is_file()}

    def fails(self, *words, code, says, keeps=False):
        text = self.pull(*words, code=code)
        assert says in text and text.count("\n") == 1, (says, text)
        left = self.files()
        assert keeps or not left, left.keys()
        assert not any(name.endswith(".tflite") for name in left), left.keys()
        return left

    def part(self, name="m-1"):
        return self.path / ".pull" / name / "model.part"


def cut_at(n, **more):
    """A server that goes away after n bytes, unless it is asked for the rest."""
    def answer(handler):
        if handler.headers.get("Range"):
            return handler.file(MODEL, **more)
        handler.send_response(200)
        handler.send_header("ETag", '"' + hashlib.sha256(MODEL).hexdigest()[:16] + '"')
        handler.send_header("Content-Length", str(len(MODEL)))
        handler.end_headers()
        handler.wfile.write(MODEL[:n])
        handler.wfile.flush()
        handler.close_connection = True
        handler.connection.shutdown(socket.SHUT_RDWR)
        return None
    return answer


# ---- what is good -----------------------------------------------------------------------------------

def test_a_url():
    with Web(m__tflite=MODEL) as web, Place() as place:
        answer = place.pull(web.url())
        assert answer["sha256"] == answer["model_sha256"] == DIGEST and not answer["pinned"], answer
        assert place.files() == {"m/1/model.tflite": MODEL}, place.files().keys()
        assert not place.path.joinpath(".pull").exists()
        assert place.pull(web.url())["was_there"] and len(web.asked) == 1
        place.pull(web.url(), "--version", "2", "--sha256", "sha256:" + DIGEST)
        place.pull(web.url(), "--name", "other")
        assert set(place.files()) == {"m/1/model.tflite", "m/2/model.tflite", "other/1/model.tflite"}
        assert "version 1 is there" in place.pull(web.url(), "--sha256", "0" * 64, code=1)


def test_text():
    with Web(m__tflite=MODEL) as web, Place() as place:
        done = subprocess.run([SCREE, "pull", web.url(), "-m", place.path], capture_output=True, text=True, check=True)
        assert done.stderr == "" and f"--sha256 {DIGEST}" in done.stdout, done
        done = subprocess.run([SCREE, "pull", web.url(), "--version", "2", "--sha256", DIGEST], capture_output=True,
                              text=True, check=True, env={**os.environ, "SCREE_MODELS": str(place.path)})
        assert f"sha256 as it should be: {DIGEST}" in done.stdout, done


def catalog(web, folder, **more):
    entry = {"name": "shapes", "task": "classify", "summary": "ten shapes", "licence": "MIT", "url": web.url(),
             "sha256": DIGEST, "labels": {"url": web.url("/l.txt"), "sha256": hashlib.sha256(LABELS).hexdigest()},
             "side": {"task": "classify"}, **more}
    path = folder.path.parent / "catalog.json"
    path.write_text(json.dumps({"models": [entry]}))
    return "--catalog", str(path)


def test_the_catalogue():
    with Web(m__tflite=MODEL, l__txt=LABELS) as web, Place() as place:
        answer = place.pull("shapes", *catalog(web, place))
        assert answer["pinned"] and answer["licence"] == "MIT", answer
        files = place.files()
        assert files.pop("shapes/1/model.tflite") == MODEL and files.pop("shapes/1/labels.txt") == LABELS
        assert json.loads(files.pop("shapes/1/model.tflite.json")) == {"task": "classify"} and not files
    # Labels that are not as they should be: no model, then, but what came of it is kept.
    with Web(m__tflite=MODEL, l__txt=b"other") as web, Place() as place:
        place.fails("shapes", *catalog(web, place), code=4, says="labels: ", keeps=True)
        web.answers["/l.txt"] = LABELS
        assert place.pull("shapes", *catalog(web, place))["resumed_bytes"] == len(MODEL)
    with Web(m__tflite=MODEL, l__txt=LABELS) as web, Place() as place:
        place.fails("shapes", *catalog(web, place, side={"task": "sing"}), code=4, says="side file: ")


def test_what_is_pulled_is_served():
    with Web(m__tflite=MODEL) as web, Place() as place:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        server = subprocess.Popen([SCREE, "serve", "--models", place.path, "--address", "127.0.0.1", "--port",
                                   str(port), "--no-grpc"], stderr=subprocess.DEVNULL)
        try:
            place.pull(web.url())
            end = time.monotonic() + 30
            while time.monotonic() < end:
                with contextlib.suppress(OSError):
                    client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                    client.request("GET", "/v2/models/m/ready")
                    if client.getresponse().status == 200:
                        return
                time.sleep(0.1)
            raise AssertionError("the model is not served")
        finally:
            server.terminate()
            server.wait()


def test_resume():
    with Web(m__tflite=cut_at(30000)) as web, Place() as place:
        place.fails(web.url(), code=1, says="what came is kept", keeps=True)
        assert place.part().stat().st_size == 30000
        assert place.part().with_suffix(".state").stat().st_mode & 0o777 == 0o600
        answer = place.pull(web.url())
        assert answer["resumed_bytes"] == 30000 and answer["sha256"] == DIGEST, answer
        assert web.asked[1][1]["Range"] == "bytes=30000-" and "If-Range" in web.asked[1][1], web.asked


def test_resume_of_another_file():
    """The file is another one by now: from the beginning."""
    other = (MODELS / "shapes_detector.tflite").read_bytes()
    with Web(m__tflite=cut_at(30000)) as web, Place() as place:
        place.fails(web.url(), code=1, says="kept", keeps=True)
        web.answers["/m.tflite"] = other
        answer = place.pull(web.url())
        assert answer["resumed_bytes"] == 0 and answer["sha256"] == hashlib.sha256(other).hexdigest(), answer
    # By a server that does not know If-Range: labels have nothing but the ETag to tell it by.
    def part(handler):
        first = int(handler.headers.get("Range", "bytes=0-").split("=")[1].rstrip("-"))
        more = {"Content_Range": f"bytes {first}-{len(LABELS) - 1}/{len(LABELS)}"} if first else {}
        handler.reply(206 if first else 200, LABELS[first:], ETag='"2"', **more)

    def begun(handler):
        handler.send_response(200)
        handler.send_header("ETag", '"1"')
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b"x" * 20)
        handler.close_connection = True
    with Web(m__tflite=MODEL, l__txt=begun) as web, Place() as place:
        words = ("shapes", *catalog(web, place, labels={"url": web.url("/l.txt")}))
        place.fails(*words, code=1, says="what came is kept", keeps=True)
        web.answers["/l.txt"] = part
        place.pull(*words)
        assert place.files()["shapes/1/labels.txt"] == LABELS
    # The kept part is damaged, which only the digest tells.
    with Web(m__tflite=cut_at(30000)) as web, Place() as place:
        place.fails(web.url(), "--sha256", DIGEST, code=1, says="kept", keeps=True)
        place.part().write_bytes(bytes(30000))
        web.answers["/m.tflite"] = MODEL
        assert place.pull(web.url(), "--sha256", DIGEST)["resumed_bytes"] == 0
    # More than the whole is there: 416, then from the beginning.
    with Web(m__tflite=cut_at(30000)) as web, Place() as place:
        place.fails(web.url(), code=1, says="kept", keeps=True)
        place.part().write_bytes(MODEL + b"more")
        web.answers["/m.tflite"] = MODEL
        assert place.pull(web.url())["resumed_bytes"] == 0
    # Without ETag and digest nothing tells that it is the same file.
    with Web(m__tflite=cut_at(30000)) as web, Place() as place:
        place.fails(web.url(), code=1, says="kept", keeps=True)
        state = place.part().with_suffix(".state")
        lines = state.read_text().splitlines()
        state.write_text("\n".join([lines[0], "", *lines[2:]]) + "\n")
        web.answers["/m.tflite"] = MODEL
        assert place.pull(web.url())["resumed_bytes"] == 0 and "Range" not in web.asked[-1][1]


def test_a_wrong_range():
    def answer(handler):
        handler.reply(206, MODEL[100:], Content_Range=f"bytes 100-{len(MODEL) - 1}/{len(MODEL)}")
    with Web(m__tflite=cut_at(30000)) as web, Place() as place:
        place.fails(web.url(), "--sha256", DIGEST, code=1, says="kept", keeps=True)
        web.answers["/m.tflite"] = answer
        place.fails(web.url(), "--sha256", DIGEST, code=4, says="another part than was asked for")


def test_a_part_of_the_range():
    """A server may send less than it is asked for, and that is not all then; labels have no end to tell it by."""
    def answer(handler):
        wanted = handler.headers.get("Range")
        if not wanted:
            handler.send_response(200)
            handler.send_header("ETag", '"1"')
            handler.send_header("Content-Length", str(len(LABELS)))
            handler.end_headers()
            handler.wfile.write(LABELS[:20])
            handler.close_connection = True
            return
        first = int(wanted.split("=")[1].rstrip("-"))
        part = LABELS[first:first + 20]
        handler.reply(206, part, ETag='"1"', Content_Range=f"bytes {first}-{first + len(part) - 1}/{len(LABELS)}")
    with Web(m__tflite=MODEL, l__txt=answer) as web, Place() as place:
        words = ("shapes", *catalog(web, place, labels={"url": web.url("/l.txt")}))
        place.fails(*words, code=1, says="what came is kept", keeps=True)
        for n in range(40, len(LABELS), 20):
            place.fails(*words, code=1, says=f"{n} of {len(LABELS)} bytes; they are kept", keeps=True)
        place.pull(*words)
        assert place.files()["shapes/1/labels.txt"] == LABELS
    # Ranges that are none; the last is right, and was not asked for.
    n = len(MODEL)
    for wrong in ("bytes 30000-9/99", f"bytes 30000-{n - 1}/30000", f"bytes 30000-{n - 1}", "bytes 30000-/99",
                  f"bytes 30000-{n - 1}/x", f"30000-{n - 1}/{n}", f"bytes 30000-{n - 1}/{n}0000000000000000000"):
        with Web(m__tflite=cut_at(30000)) as web, Place() as place:
            place.fails(web.url(), code=1, says="kept", keeps=True)
            web.answers["/m.tflite"] = lambda h, w=wrong: h.reply(206, MODEL[30000:], Content_Range=w)
            place.fails(web.url(), code=4, says="another part than was asked for")
    with Web(m__tflite=lambda h: h.reply(206, MODEL, Content_Range=f"bytes 0-{n - 1}/{n}")) as web, Place() as place:
        place.fails(web.url(), code=4, says="another part than was asked for")


# ---- what is not ------------------------------------------------------------------------------------

def test_a_file_that_is_not_there():
    with Web() as web, Place() as place:
        place.fails(web.url(), code=4, says=web.url() + ": the server answers 404")


def test_a_wrong_digest():
    with Web(m__tflite=MODEL) as web, Place() as place:
        place.fails(web.url(), "--sha256", "1" * 64, code=4, says=f"its SHA-256 is {DIGEST[:16]}...")
        for digest in ("1" * 63, "g" * 64, DIGEST.upper(), "../" + "1" * 61, ""):
            assert "64 digits" in place.pull(web.url(), "--sha256", digest, code=2)


def test_no_model():
    with Web(m__tflite=b"<html>" * 1000, empty=b"") as web, Place() as place:
        place.fails(web.url(), code=4, says="what came is no model")
        place.fails(web.url("/empty"), code=4, says="empty")
        place.fails(web.url("/none"), code=4, says="the server answers 404")
        damaged = bytearray(MODEL)
        damaged[:4] = b"\xff\xff\xff\x7f"
        web.answers["/m.tflite"] = bytes(damaged)
        place.fails(web.url(), code=4, says="what came is no model")


def test_names():
    with Web() as web, Place() as place:
        for words in ((web.url("/..tflite"),), (web.url(), "--name", "../a"), (web.url(), "--name", "/a"),
                      (web.url(), "--name", ".pull"), (web.url(), "--version", "0"), (web.url(), "--version", "../1"),
                      (web.url("/"),), ("nothing",), ("../../etc",)):
            assert place.pull(*words, code=2).startswith("scree pull: ")
        assert not web.asked and not place.files()


def test_links_are_not_followed():
    with Web(m__tflite=MODEL) as web, Place() as place:
        outside = place.path.parent / "outside"
        outside.mkdir()
        for link in ("m", ".pull", "n/1"):
            path = place.path / link
            path.parent.mkdir(exist_ok=True)
            path.symlink_to(outside)
            text = place.pull(web.url(), "--name", link.split("/")[0].replace(".pull", "m"), code=1)
            assert "link" in text or "Not a directory" in text, text
            path.unlink()
            assert not list(outside.iterdir())
        (place.path / ".pull/m-1").mkdir(parents=True)
        (outside / "victim").write_text("dear")
        (place.path / ".pull/m-1/model.part").symlink_to(outside / "victim")
        place.pull(web.url(), code=1)
        assert (outside / "victim").read_text() == "dear"


def endless(chunked):
    def answer(handler):
        handler.send_response(200)
        if chunked:
            handler.send_header("Transfer-Encoding", "chunked")
        else:
            handler.send_header("Connection", "close")
        handler.end_headers()
        block = bytes(65536)
        with contextlib.suppress(OSError):
            for _ in range(4096):
                handler.wfile.write(b"10000\r\n" + block + b"\r\n" if chunked else block)
        handler.close_connection = True
    return answer


def test_an_endless_body():
    def huge(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(2 ** 63 - 1))
        handler.end_headers()
    for chunked in (True, False):
        with Web(m__tflite=endless(chunked)) as web, Place() as place:
            place.fails(web.url(), "--max-size", "1M", code=4, says="over the limit of 1048576 bytes")
    with Web(m__tflite=huge) as web, Place() as place:
        place.fails(web.url(), code=4, says="over the limit")
        place.fails(web.url(), "--max-size", "1024G", code=4, says="over the limit")


def test_a_slow_body():
    def drip(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(200):
                handler.wfile.write(b"x")
                time.sleep(0.1)
    with Web(m__tflite=drip) as web, Place() as place:
        began = time.monotonic()
        place.fails(web.url(), "--stall", "2", code=1, says="too slow", keeps=True)
        assert time.monotonic() - began < 15
        place.fails(web.url(), "--timeout", "1", code=1, says="timed out", keeps=True)


def redirect(to):
    return lambda handler: handler.reply(302, b"", Location=to)


def test_redirects():
    with Web(m__tflite=MODEL) as web, Place() as place:
        web.answers["/a.tflite"] = redirect("/m.tflite")
        assert place.pull(web.url("/a.tflite"))["sha256"] == DIGEST
    secret = "file:///etc/hostname"
    with Web(file=redirect(secret), ftp=redirect("ftp://127.0.0.1/x"), loop=redirect("/loop"),
             away=redirect("http://192.0.2.1:1/m.tflite")) as web, Place() as place:
        place.fails(web.url("/file"), code=1, says="not supported")
        place.fails(web.url("/ftp"), code=1, says="not supported")
        place.fails(web.url("/loop"), code=1, says="redirects")
        place.fails(web.url("/away"), "--stall", "2", "--timeout", "2", code=1, says="http")
        for url in (secret, "ftp://127.0.0.1/m.tflite", "gopher://127.0.0.1/m.tflite", "scp://127.0.0.1/m.tflite"):
            place.fails(url, code=4, says="URLs are https://")
        place.fails(web.url().replace("//", "//me:word@"), code=4, says="a name or password")


def own_address():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        with contextlib.suppress(OSError):
            probe.connect(("192.0.2.1", 9))
            address = probe.getsockname()[0]
            if not address.startswith(("127.", "0.")):
                return address
    raise Skip("this machine has no address but loopback")


def test_plain_http():
    address = own_address()
    with Web(address="", m__tflite=MODEL) as web, Place() as place:
        place.fails(web.url(host=address), code=4, says="--allow-http")
        web.answers["/a.tflite"] = redirect(web.url(host=address))
        place.fails(web.url("/a.tflite"), code=4, says="--allow-http")
        assert len(web.asked) == 1, "no request before the address is known to be good"
        place.pull(web.url(host=address), "--allow-http")


def test_tls():
    if not shutil.which("openssl"):
        raise Skip("no openssl here, to make a certificate")
    with Place() as place:
        key, cert = place.path.parent / "key.pem", place.path.parent / "cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert,
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
                       check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        with Web(context, m__tflite=MODEL) as web, Web(m__tflite=MODEL) as plain:
            text = place.pull(web.url(), code=1)
            assert "certificate" in text and not place.files(), text
            web.answers["/down.tflite"] = redirect(plain.url())
            text = place.pull(web.url("/down.tflite"), "--ca-file", cert, code=1)
            assert "not supported" in text and not plain.asked, text
            assert place.pull(web.url(), "--ca-file", cert)["sha256"] == DIGEST


# ---- archives ---------------------------------------------------------------------------------------

def tar(members, compress=True):
    """members: [(name, bytes or TarInfo)]"""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz" if compress else "w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            if isinstance(data, bytes):
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
            else:
                info.type, info.linkname = data
                archive.addfile(info)
    return out.getvalue()


def zipped(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


def test_archives():
    for data in (tar([("readme", b"x" * 100000), ("./d/m.tflite", MODEL)]), tar([("d/m.tflite", MODEL)], compress=False),
                 zipped([("a", b"b"), ("d/m.tflite", MODEL)])):
        with Web(a=data) as web, Place() as place:
            answer = place.pull(web.url("/a"), "--sha256", hashlib.sha256(data).hexdigest())
            assert answer["model_sha256"] == DIGEST and place.files() == {"a/1/model.tflite": MODEL}, answer
            assert place.pull(web.url("/a"), "--member", "d/m.tflite", "--version", "2")["model_sha256"] == DIGEST
            assert place.pull(web.url("/a"), "--member", "d/m.tflite")["was_there"]


def test_hostile_archives():
    two = [("a.tflite", MODEL), ("b.tflite", MODEL)]
    cases = [(tar([("../m.tflite", MODEL)]), "leads out of it"), (tar([("/tmp/m.tflite", MODEL)]), "leads out of it"),
             (tar([("a/../../m.tflite", MODEL)]), "leads out of it"), (zipped([("../m.tflite", MODEL)]), "leads out of it"),
             (tar(two), "more than one model"), (zipped(two), "more than one model"),
             (tar([("m.tflite", (tarfile.SYMTYPE, "/etc/passwd"))]), "has no"),
             (tar([("m.tflite", (tarfile.LNKTYPE, "/etc/passwd"))]), "has no"),
             (tar([("m.tflite", (tarfile.DIRTYPE, ""))]), "has no"),
             (tar([("readme", b"x")]), "has no"), (gzip.compress(b"no archive" * 100), "the archive is damaged"),
             (tar([("m.tflite", MODEL)])[:5000], "the archive is damaged"),
             (zipped([("m.tflite", MODEL)])[:5000], "the archive is damaged"),
             (tar([("m.tflite", bytes(64 << 20))]), "more than the limit"),
             (tar([("x", bytes(64 << 20)), ("m.tflite", MODEL)]), "more than the limit"),
             (zipped([("m.tflite", bytes(64 << 20))]), "more than the limit"),
             (tar([(f"{i}", b"") for i in range(10001)] + [("m.tflite", MODEL)]), "more than 10000 members"),
             (tar([("m.tflite", b"text")]), "what came is no model")]
    for data, says in cases:
        with Web(a=data) as web, Place() as place:
            place.fails(web.url("/a"), "--max-size", "8M", code=4, says=says, keeps="has no" in says)


# ---- several at once, and the end in between -----------------------------------------------------------

def test_two_at_once():
    def slow(handler):
        handler.file(MODEL, pace=0.03)
    with Web(m__tflite=slow) as web, Place() as place:
        first = subprocess.Popen(place.command(web.url()), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        end = time.monotonic() + 30
        while not place.part().exists() and time.monotonic() < end:
            time.sleep(0.01)
        second = subprocess.run(place.command(web.url()), capture_output=True, text=True, check=True, timeout=60)
        assert first.wait() == 0 and not json.loads(first.stdout.read())["was_there"]
        first.stdout.close()
        first.stderr.close()
        assert "waiting for it" in second.stderr and json.loads(second.stdout)["was_there"], second
        assert len(web.asked) == 1 and place.files() == {"m/1/model.tflite": MODEL}
    with Web(m__tflite=slow) as web, Place() as place:
        crowd = [subprocess.Popen(place.command(web.url()), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
                 for _ in range(6)]
        answers = [json.loads(p.communicate()[0]) for p in crowd]
        assert sum(not a["was_there"] for a in answers) == 1 and len(web.asked) == 1, answers
        assert place.files() == {"m/1/model.tflite": MODEL}


def wait_for_bytes(place, process):
    """Until some of the model came, which on a busy machine takes longer than all of the rest."""
    part = place.part("shapes-1")
    while process.poll() is None and not (part.exists() and part.stat().st_size > 0):
        time.sleep(0.01)


def test_killed_at_any_moment():
    """No model or a whole one, at every moment; what came is not fetched again."""
    def slow(handler):
        handler.file(MODEL, pace=0.02)
    seed = int(os.environ.get("SEED", "1"))
    chance, killed, resumed = random.Random(seed), 0, 0
    with Web(m__tflite=slow, l__txt=LABELS) as web:
        for _ in range(12):
            with Place() as place:
                words = catalog(web, place)
                for _ in range(chance.randint(1, 4)):
                    process = subprocess.Popen(place.command("shapes", *words), stdout=subprocess.DEVNULL,
                                               stderr=subprocess.DEVNULL)
                    if chance.random() < 0.5:
                        wait_for_bytes(place, process)
                    time.sleep(chance.uniform(0, 0.35))
                    killed += process.poll() is None
                    process.kill()
                    process.wait()
                    there = {n: d for n, d in place.files().items() if not n.startswith(".pull/")}
                    assert there in ({}, {"shapes/1/model.tflite": MODEL, "shapes/1/labels.txt": LABELS,
                                          "shapes/1/model.tflite.json": b'{\n  "task": "classify"\n}'}), there.keys()
                answer = place.pull("shapes", *words)
                assert answer["model_sha256"] == DIGEST, answer
                resumed += answer["resumed_bytes"] > 0
                files = place.files()
                assert files["shapes/1/model.tflite"] == MODEL and len(files) == 3, files.keys()
    assert killed > 12 and resumed > 2, (seed, killed, resumed)
    print(f"seed {seed}: killed {killed} times, resumed {resumed} times")


def test_a_file_may_not_grow():
    with Web(m__tflite=MODEL) as web, Place() as place:
        text = place.pull(web.url(), code=1,
                          before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50000, 50000)))
        assert "may not grow" in text and "kept" in text, text
        assert place.part().stat().st_size == 50000
        assert place.pull(web.url())["resumed_bytes"] == 50000


def unshared(*words):
    return ["unshare", "--mount", "--map-root-user", *words]


def test_a_full_disk():
    """In a namespace of its own, a disk with room for a part only; and one that is filled meanwhile."""
    if not shutil.which("unshare") or subprocess.run(
            unshared("sh", "-c", "mount -t tmpfs -o size=64k none /mnt"), capture_output=True, check=False).returncode:
        raise Skip("no tmpfs may be mounted here, not even in a namespace")
    script = """mount -t tmpfs -o size=%s none "$1" && cd "$1" && shift
        "$@" 2>&1; echo "code $?"; find . -name '*.tflite' -o -name '*.part' -size +8k
        mount -o remount,size=4m . && "$@" && find . -type f"""
    def quiet(handler):  # does not tell the size before
        handler.send_response(200)
        handler.send_header("ETag", '"one"')
        handler.send_header("Connection", "close")
        handler.end_headers()
        with contextlib.suppress(OSError):
            handler.wfile.write(MODEL)
        handler.close_connection = True
    for answer, size, says in ((MODEL, "64k", "there is no room for it: 9"), (quiet, "64k", "No space left on device"),
                               (MODEL, "0k,nr_inodes=2", "No space left on device")):
        with Web(m__tflite=answer) as web, Place() as place:
            command = unshared("sh", "-c", script.replace("%s", size), "sh", str(place.path), SCREE, "pull", "--models",
                               ".", web.url())
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            first, _, rest = done.stdout.partition("code 1\n")
            assert says in first and first.count("\n") == 1, done
            if "inodes" not in size:
                assert "model.tflite: 90" in rest and "./m/1/model.tflite\n" in rest and ".pull" not in rest.partition(
                    "sha256")[2], done


def main():
    wanted = sys.argv[3:]
    failed = skipped = 0
    for name, test in list(globals().items()):
        if not name.startswith("test_") or (wanted and name not in wanted):
            continue
        began = time.monotonic()
        try:
            test()
            print(f"ok {name} ({time.monotonic() - began:.1f} s)", flush=True)
        except Skip as reason:
            skipped += 1
            print(f"skip {name}: {reason}", flush=True)
        except Exception as error:  # the next tests run all the same
            failed += 1
            print(f"FAILED {name}: {type(error).__name__}: {error}", flush=True)
    print(f"{failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
