#!/usr/bin/env python3
"""Running the server: who may ask, what it tells, where it computes, which settings count.

usage: ops.py SCREE MODELS-FOLDER [TEST...]      $DELEGATE: the test delegate
"""
import base64
import gzip
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
import zlib

from server import MODELS, PICTURE, SCREE, Server, main

DELEGATE = os.environ.get("DELEGATE", "")
SANDBOX_IS_OFF = os.environ.get("SCREE_SANDBOX") == "off"


def metrics(server, token=None):
    """{series with its labels: value}"""
    headers = {"Authorization": "Bearer " + token} if token else {}
    _, text = server.ask("GET", "/metrics", headers=headers)
    return {name: float(value) for name, value in
            (line.rsplit(" ", 1) for line in text.decode().splitlines() if line[0] != "#")}


def test_bodies_that_are_refused_are_counted():
    """By their length, before they are there, in pieces, and because there is no room for more."""
    with Server("--max-body", "100K", "--max-bodies", "150K", models=("classifier",)) as server:
        server.json("POST", "/infer", bytes(200000), status=413)
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        connection.request("POST", "/infer", iter([bytes(60000)] * 3), encode_chunked=True,
                           headers={"Transfer-Encoding": "chunked"})
        assert connection.getresponse().status == 413
        connection.close()
        with socket.create_connection(("127.0.0.1", server.port), 20) as slow:
            slow.sendall(b"POST /infer HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n")
            time.sleep(0.3)
            server.json("POST", "/infer", bytes(90000), status=503)
            now = metrics(server)
        assert now['npu_request_rejected_total{reason="too_large"}'] == 2, now
        assert now['npu_request_rejected_total{reason="memory"}'] == 1, now


def test_a_port_belongs_to_one():
    with Server() as server:
        other = subprocess.run([SCREE, "serve", "--models", server.folder, "--address", "127.0.0.1",
                                "--port", str(server.port)], capture_output=True, text=True)
        assert other.returncode == 1 and "Address already in use" in other.stderr, other


def test_metrics():
    with Server("--versions", "latest:2") as server:
        server.add("classifier", 2)
        server.reload(lambda: server.ask("POST", "/infer?version=2", PICTURE)[0].status == 200)
        server.json("POST", "/infer?model=none", PICTURE, status=404)
        server.json("POST", "/infer", b"no picture", status=400)
        now = metrics(server)
        asked = {name: value for name, value in now.items() if name.startswith("npu_requests_total")}
        assert asked['npu_requests_total{model="classifier",version="2",api="plain",code="200"}'] >= 1
        assert asked['npu_requests_total{model="",version="",api="plain",code="404"}'] >= 1
        assert now["npu_inference_total"] >= 1
        assert now["npu_inference_time_seconds_avg"] > 0
        assert now['npu_request_rejected_total{reason="bad_image"}'] == 1
        # What is no picture's fault, and no shutdown.
        json_type = {"Content-Type": "application/json"}
        server.json("POST", "/detect", b"[]", json_type, status=400)
        server.json("POST", "/v1/vision/detection?model=classifier", PICTURE, status=400)
        server.json("POST", "/v1/vision/scene?model=detector", PICTURE, status=400)
        server.json("POST", "/image", json.dumps({"data": base64.b64encode(PICTURE).decode(),
                                                  "detector_name": "classifier"}), json_type, status=400)
        assert server.ask("POST", "/v2/repository/models/detector/unload")[0].status == 200
        server.json("POST", "/detect?model=detector", PICTURE, status=503)
        rejected = {name: value for name, value in metrics(server).items()
                    if name.startswith("npu_request_rejected_total")}
        assert rejected == {'npu_request_rejected_total{reason="bad_image"}': 1}, rejected
        for name in ('npu_queue_duration_seconds_count{model="classifier"}',
                     "npu_decode_duration_seconds_count",
                     'npu_preprocess_duration_seconds_count{model="classifier"}',
                     'npu_compute_duration_seconds_count{model="classifier",device="cpu"}',
                     'npu_postprocess_duration_seconds_count{model="classifier"}',
                     'npu_request_duration_seconds_count{model="classifier",api="plain"}',
                     'npu_instance_busy_seconds_total'
                     '{model="classifier",version="2",instance="0"}'):
            assert now[name] > 0, name
        assert now['npu_instances{model="classifier"}'] == 2
        assert now['npu_queue_depth{model="classifier"}'] == 0
        assert now["npu_queue_capacity"] == 32
        assert now['npu_model_loaded{model="detector",version="1"}'] == 1
        assert now['npu_model_reloads_total{model="classifier",result="ok"}'] == 2
        assert now["process_open_fds"] > 3 and now["process_resident_memory_bytes"] > 1e6
        info, = [name for name in now if name.startswith('npu_model_info{model="detector"')]
        assert re.search(r'sha256="[0-9a-f]{64}",format="tflite",delegate="",npu_nodes="0"', info), info


def test_device():
    """The delegate takes convolutions; the product at the end of the classifier stays on the CPU."""
    with Server("--delegate", DELEGATE, models=("classifier",)) as server:
        response, text = server.ask("POST", "/infer", PICTURE)
        assert response.getheader("X-Inference-Device") == "mixed", text
        assert json.loads(text)["device"] == "mixed"
        assert server.json("GET", "/")["hardware"] == "RK3588 NPU (Rockchip)"
        now = metrics(server)
        assert now['npu_compute_duration_seconds_count{model="classifier",device="mixed"}'] == 1
        assert any('npu_nodes="10",cpu_nodes="5"' in name for name in now), now
        assert any("Teflon delegate loaded" in line for line in server.log), server.log


def check_failing_delegate(fault, kind):
    """Every answer is right, whoever computed it; what happened is counted."""
    devices = set()
    with Server(models=("classifier",)) as plain:
        expected = plain.json("POST", "/infer", PICTURE)["predictions"]
    with Server("--delegate", DELEGATE, "--delegate-option", "fault=" + fault,
                "--delegate-option", "after=1", models=("classifier",)) as server:
        for _ in range(8):
            answer = server.json("POST", "/infer", PICTURE)
            assert answer["predictions"] == expected, answer
            devices.add(answer["device"])
        now = metrics(server)
        assert "cpu" in devices and "npu" not in devices, devices
        assert now['npu_cpu_fallback_total{model="classifier",reason="bad_run"}'] >= 1, now
        assert now[f'npu_device_errors_total{{kind="{kind}"}}'] >= 1, now


def test_a_delegate_that_forgets_an_output():
    check_failing_delegate("write_half", "reset")


def test_a_delegate_that_dies_at_work():
    check_failing_delegate("crash_invoke", "died")


def test_the_npu_is_required():
    with Server("--require-npu", "--delegate", DELEGATE, "--delegate-option",
                "fault=abort_prepare", models=("classifier",)) as server:
        server.json("POST", "/infer", PICTURE, status=503)
        server.json("GET", "/readyz", status=503)
        server.json("GET", "/livez")
        wait_for(lambda: any("degraded" in line for line in server.log))


def test_logs():
    with Server("--log-format", "json", "--log-level", "debug") as server:
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        response, _ = server.ask("POST", "/infer", PICTURE, {
            "X-Request-ID": "cam-7", "traceparent": f"00-{trace}-00f067aa0ba902b7-01",
            "Authorization": "Bearer a-secret-of-mine"})
        assert response.getheader("X-Request-ID") == "cam-7"
        made = {server.ask("GET", "/none", headers={"X-Request-ID": "a b\"c"})[0]
                .getheader("X-Request-ID") for _ in range(2)}
        assert len(made) == 2, made
        server.ask("GET", "/infer?key=a-secret-of-mine")
        server.ask("GET", "/%0a%7b%22level%22:1%7d%c2%9b")
    lines = [json.loads(line) for line in server.log]
    assert not any("secret" in line for line in server.log), server.log
    asked = [line for line in lines if line.get("request_id") == "cam-7"]
    assert len(asked) == 2 and all(line["trace_id"] == trace for line in asked), asked
    assert asked[0]["msg"].startswith("Inference completed in ") and asked[0]["device"] == "cpu"
    assert asked[1]["status"] == "200" and asked[1]["path"] == "/infer"


def test_tokens():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "tokens")
        with open(path, "w") as file:
            file.write("the-first-token\nthe-second-token\n")
        with Server("--token-file", path) as server:
            response, text = server.ask("POST", "/infer", PICTURE)
            assert response.status == 401 and response.getheader("WWW-Authenticate") == "Bearer"
            assert b"the-" not in text
            server.json("GET", "/metrics", status=401)
            server.json("GET", "/health")
            for token in ("the-first-token", "the-second-token"):
                server.json("POST", "/infer", PICTURE, {"Authorization": "Bearer " + token})
            server.json("POST", "/infer", PICTURE, {"Authorization": "Bearer the-first-toke"}, 401)
            server.form("/v1/vision/detection?model=detector", image=PICTURE,
                        api_key="the-first-token")
            server.form("/v1/vision/detection?model=detector", 401, image=PICTURE, api_key="none")
            assert metrics(server, "the-first-token")[
                'npu_request_rejected_total{reason="auth"}'] == 4
            with open(path, "w") as file:
                file.write("the-third-token\n")
            server.reload(lambda: server.ask(
                "POST", "/infer", PICTURE,
                {"Authorization": "Bearer the-third-token"})[0].status == 200)
            server.json("POST", "/infer", PICTURE, {"Authorization": "Bearer the-first-token"}, 401)


def test_rate():
    with Server("--rate", "2", "--burst", "3") as server:
        answers = [server.ask("POST", "/infer", PICTURE)[0] for _ in range(6)]
        statuses = [answer.status for answer in answers]
        assert statuses[:3] == [200] * 3 and statuses[-1] == 429, statuses
        assert answers[-1].getheader("Retry-After") == "1"
        for _ in range(10):
            server.json("GET", "/health")
        time.sleep(1.2)
        server.json("POST", "/infer", PICTURE)


def make_certificate(folder, name):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                    "-addext", f"subjectAltName=DNS:{name}", "-keyout", f"{folder}/key.pem",
                    "-out", f"{folder}/cert.pem"], check=True, capture_output=True)


def ask_tls(server, folder, name, version=None):
    context = ssl.create_default_context(cafile=f"{folder}/cert.pem")
    if version:
        context.minimum_version = context.maximum_version = version
    with socket.create_connection(("127.0.0.1", server.port), 20) as peer:
        with context.wrap_socket(peer, server_hostname=name) as tls:
            tls.sendall(b"POST /infer HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                        b"Content-Length: %d\r\n\r\n" % len(PICTURE) + PICTURE)
            answer = b""
            while part := tls.recv(65536):
                answer += part
    return answer


def test_tls():
    if not shutil.which("openssl"):
        print("   skipped: no openssl to make certificates with")
        return
    with tempfile.TemporaryDirectory() as folder:
        make_certificate(folder, "one.example")
        with Server("--tls-cert", f"{folder}/cert.pem", "--tls-key", f"{folder}/key.pem",
                    models=("classifier",)) as server:
            assert b" 200 " in ask_tls(server, folder, "one.example")[:20]
            assert b" 200 " in ask_tls(server, folder, "one.example", ssl.TLSVersion.TLSv1_2)[:20]
            for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
                try:
                    ask_tls(server, folder, "one.example", version)
                    raise AssertionError(f"{version} was spoken")
                except (ssl.SSLError, ConnectionError, ValueError):
                    pass
            make_certificate(folder, "two.example")
            server.process.send_signal(signal.SIGHUP)
            wait_for(lambda: is_served(server, folder, "two.example"))
            # Files that do not go together change nothing.
            shutil.copy(f"{folder}/cert.pem", f"{folder}/good.pem")
            make_certificate(folder, "three.example")
            shutil.copy(f"{folder}/good.pem", f"{folder}/cert.pem")
            server.process.send_signal(signal.SIGHUP)
            wait_for(lambda: any("is not the key of" in line for line in server.log))
            assert b" 200 " in ask_tls(server, folder, "two.example")[:20]


def is_served(server, folder, name):
    try:
        return b" 200 " in ask_tls(server, folder, name)[:20]
    except ssl.SSLError:
        return False


def test_any_log_level_tells_the_port():
    """Whoever starts a server has to know when it is ready and where it listens."""
    for level in ("error", "warning", "info", "debug"):
        for form in ("text", "logfmt", "json"):
            with Server("--log-level", level, "--log-format", form, "--zmq", "tcp://127.0.0.1:*",
                        models=("classifier",)) as server:
                server.json("GET", "/health")
                told = "".join(server.log)
                assert "gRPC on port" in told and "zmq at tcp://" in told, told
                assert level != "error" or len(server.log) == 3, server.log
                if form == "json":
                    assert [json.loads(line) for line in server.log]


def form_of(n, name="x"):
    return b"".join(b'--B\r\nContent-Disposition: form-data; name="%s"\r\n\r\n1\r\n' % name.encode()
                    for _ in range(n))


def test_limits_that_are_settings():
    """Each just fits as it is, does not with one less, and does by its setting."""
    picture = (b'--B\r\nContent-Disposition: form-data; name="image"; filename="f"\r\n\r\n' + PICTURE +
               b"\r\n--B--\r\n")
    form = {"Content-Type": "multipart/form-data; boundary=B"}
    packed = {"Content-Encoding": "gzip"}
    tensor = b'{"inputs":[{"name":"image","datatype":"UINT8","shape":[1,96,96,3],"data":[%s]}]%s}'
    numbers = b",".join([b"7"] * 27648)

    def deep(n):
        return tensor % (numbers, b',"parameters":' + b'{"a":' * (n - 1) + b"1" + b"}" * (n - 1))

    bomb = gzip.compress(tensor % (numbers, b" " * (3 << 20)))
    infer = "/v2/models/classifier/infer"
    cases = (("/infer", form_of(7) + picture, form, 200), ("/infer", form_of(8) + picture, form, 413),
             ("/infer", form_of(16) + picture, form, 413), (infer, deep(31), {}, 200),
             (infer, deep(32), {}, 200), (infer, deep(33), {}, 400),
             ("/detect", b"[" * 33 + b"]" * 33, {"Content-Type": "application/json"}, 400),
             (infer, bomb, packed, 413))
    with Server(models=("classifier",)) as server:
        for path, body, headers, status in cases:
            server.json("POST", path, body, headers, status)
    with Server("--max-parts", "9", "--max-json-depth", "33", "--max-inflation", "10000",
                models=("classifier",)) as server:
        for path, body, headers, status in ((*cases[1][:3], 200), cases[2], (*cases[5][:3], 200),
                                            (*cases[7][:3], 200)):
            server.json("POST", path, body, headers, status)
    with Server("--max-body", "1M", "--max-bodies", "1M", "--retry-after", "7",
                models=("classifier",)) as server:
        response, _ = server.ask("POST", infer, bomb, packed)
        assert response.status == 503 and response.getheader("Retry-After") == "7", response.status
        server.json("POST", "/infer", PICTURE)
        # Others' bodies may be done later, which are read now; what is too large is so at any time.
        with socket.create_connection(("127.0.0.1", server.port)) as other:
            other.sendall(b"POST /infer HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n")
            wait_for(lambda: server.ask("POST", "/infer", bytes(200000))[0].status == 503)
            response, _ = server.ask("POST", "/infer", (bytes(1 << 16) for _ in range(6)))
            assert response.status == 503 and response.getheader("Retry-After") == "7", response.status
        response, _ = server.ask("POST", "/infer", (bytes(1 << 16) for _ in range(20)))
        assert response.status == 413, response.status


def test_sandbox():
    with Server(models=("classifier",)) as server:
        status = open(f"/proc/{server.process.pid}/status").read()
        if SANDBOX_IS_OFF or any("no sandbox" in line for line in server.log):
            print("   skipped: no sandbox in this build or on this kernel")
            return
        assert re.search(r"^NoNewPrivs:\s1$", status, re.M), status
        assert re.search(r"^Seccomp:\s2$", status, re.M), status
        for task in os.listdir(f"/proc/{server.process.pid}/task"):
            status = open(f"/proc/{server.process.pid}/task/{task}/status").read()
            assert re.search(r"^Seccomp:\s2$", status, re.M), status


def test_systemd():
    """Readiness, the watchdog, a socket that is there already, and the end."""
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as given:
        path = f"{folder}/notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(path)
            manager.settimeout(20)
            def hand_over():
                if given.fileno() == 3:
                    os.set_inheritable(3, True)
                else:
                    os.dup2(given.fileno(), 3)

            script = ("import os, sys\nos.environ['LISTEN_PID'] = str(os.getpid())\n"
                      "os.execv(sys.argv[1], sys.argv[1:])")
            environment = dict(os.environ, NOTIFY_SOCKET=path, LISTEN_FDS="1",
                               WATCHDOG_USEC="400000")
            process = subprocess.Popen(
                [sys.executable, "-c", script, SCREE, "serve", "--model",
                 str(MODELS / "shapes_classifier.tflite")], stderr=subprocess.DEVNULL,
                env=environment, preexec_fn=hand_over, close_fds=False)
            assert manager.recv(100) == b"READY=1"
            pings = [time.monotonic()]
            for _ in range(3):
                assert manager.recv(100) == b"WATCHDOG=1"
                pings.append(time.monotonic())
            assert pings[-1] - pings[0] < 2, pings
            with urllib.request.urlopen(f"http://127.0.0.1:{given.getsockname()[1]}/health", timeout=20) as answer:
                assert json.load(answer)["status"] == "healthy"
            process.send_signal(signal.SIGTERM)
            last = b""
            while last != b"STOPPING=1":
                last = manager.recv(100)
            assert process.wait(20) == 0


def test_killed_at_any_moment():
    """kill -9, loading, replacing or answering: the next server has the same ports, local socket and models."""
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        options = ("--port", str(port), "--no-grpc", "--zmq", f"ipc://{folder}/zmq",
                   "--sandbox", "off")
        with Server(*options, models=("classifier",)) as keeper:
            models = keeper.folder
            kept = {path: path.read_bytes() for path in models.rglob("*") if path.is_file()}
        models.mkdir()
        for path, data in kept.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        for i in range(10):
            process = subprocess.Popen(
                [SCREE, "serve", "--models", str(models), "--address", "127.0.0.1", *options],
                stderr=subprocess.PIPE, text=True)
            if i % 2 or i == 0:
                for line in process.stderr:
                    if "listening on port" in line:
                        break
                answer = urllib.request.urlopen(f"http://127.0.0.1:{port}/infer?top=1", PICTURE,
                                                timeout=20)
                assert json.load(answer)["success"]
                with socket.create_connection(("127.0.0.1", port), 20) as peer:
                    peer.sendall(b"POST /infer HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" %
                                 len(PICTURE) + PICTURE[:i * 100 or len(PICTURE)])
                    process.kill()
            else:
                time.sleep(0.01 * i)
                process.kill()
            process.stderr.close()
            process.wait(20)
        assert kept == {path: path.read_bytes() for path in models.rglob("*") if path.is_file()}
        shutil.rmtree(models)


def test_what_was_begun_is_ended():
    with Server(models=("classifier",)) as server:
        with socket.create_connection(("127.0.0.1", server.port), 20) as peer:
            head = b"POST /infer HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(PICTURE)
            peer.sendall(head + PICTURE[:100])
            time.sleep(0.2)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            peer.sendall(PICTURE[100:])
            answer = peer.recv(65536)
        assert b" 200 " in answer[:20] and b"Connection: close" in answer, answer


def test_changes_are_seen():
    with Server(models=("classifier",)) as server:
        time.sleep(0.3)
        server.add("detector", 1)
        wait_for(lambda: server.ask("POST", "/detect?model=detector", PICTURE)[0].status == 200)
        server.add("classifier", 2)
        wait_for(lambda: server.json("POST", "/infer", PICTURE)["version"] == "2")
        # The one before comes back.
        shutil.rmtree(server.folder / "classifier" / "2")
        wait_for(lambda: server.json("POST", "/infer", PICTURE)["version"] == "1")
        shutil.rmtree(server.folder / "detector")
        wait_for(lambda: server.ask("POST", "/detect?model=detector", PICTURE)[0].status == 404)
    with Server("--no-watch", models=("classifier",)) as server:
        server.add("classifier", 2)
        time.sleep(0.5)
        assert server.json("POST", "/infer", PICTURE)["version"] == "1"


def test_other_labels_are_seen():
    """What lies beside a model counts as much as the model, also where it had kept it from loading."""
    def label():
        return server.json("POST", "/infer", PICTURE)["predictions"][0]["label"]
    with Server(models=("classifier",)) as server:
        folder = server.folder / "classifier" / "1"
        before = label()
        names = (folder / "labels.txt").read_text().splitlines()
        (folder / "new").write_text("".join(f"a {name}\n" for name in names))
        os.rename(folder / "new", folder / "labels.txt")
        wait_for(lambda: label() == "a " + before)
        server.add("classifier", 2)
        wait_for(lambda: label() == before)
        side = server.folder / "classifier" / "3" / "model.tflite.json"
        side.parent.mkdir()
        side.write_text("{")
        server.add("classifier", 3)
        versions = "/v2/models/classifier/versions/3/ready"
        wait_for(lambda: any("Failed to load model: classifier 3" in line for line in server.log))
        assert server.ask("GET", versions)[0].status != 200
        side.unlink()
        wait_for(lambda: server.ask("GET", versions)[0].status == 200)


def wait_for(wanted):
    for _ in range(200):
        if wanted():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def test_version_policies():
    config = "[model detector]\nversions = all\n"
    with tempfile.NamedTemporaryFile("w", suffix=".ini") as file:
        file.write(config)
        file.flush()
        with Server("--config", file.name, "--versions", "only:2,4") as server:
            for version in (2, 3, 4):
                server.add("classifier", version)
                server.add("detector", version)
            for version in (2, 3, 4):
                wait_for(lambda: server.ask("POST", f"/detect?model=detector&version={version}",
                                            PICTURE)[0].status == 200)
            statuses = {(name, version): server.ask(
                "POST", f"/infer?model={name}&version={version}", PICTURE)[0].status
                        for name in ("classifier", "detector") for version in range(1, 5)}
            assert [statuses["classifier", v] for v in range(1, 5)] == [503, 200, 503, 200], statuses
            assert [statuses["detector", v] for v in range(1, 5)] == [200] * 4, statuses


def test_many_versions():
    """However many there are: those that are named are loaded, those before are taken away."""
    def states(server):
        index = server.json("POST", "/v2/repository/index")
        return {int(entry["version"]): entry["state"] for entry in index}
    for policy, wanted in ("only:1,3", {1, 3}), ("latest", {90}):
        with Server("--no-watch", "--versions", policy, models=("classifier",)) as server:
            for version in range(2, 91):
                server.add("classifier", version)
            server.reload(lambda: len(states(server)) == 90)
            wait_for(lambda: {v for v, state in states(server).items() if state == "READY"} ==
                     wanted)


def test_what_is_unloaded_stays_so():
    """Also if other versions take the place of those that were there, below or above them."""
    with Server("--no-watch") as server:
        def states():
            index = server.json("POST", "/v2/repository/index")
            return {int(entry["version"]): entry["state"] for entry in index
                    if entry["name"] == "classifier"}
        shutil.move(server.folder / "classifier" / "1", server.folder / "classifier" / "5")
        server.reload(lambda: states() == {5: "READY"})
        server.ask("POST", "/v2/repository/models/classifier/unload")
        for version in 2, 7, 6:
            server.add("classifier", version)
            server.reload(lambda: version in states())
        for version in 5, 2, 6:
            shutil.rmtree(server.folder / "classifier" / str(version))
            server.reload(lambda: version not in states())
        # Once more, and to its end: another model is loaded behind it.
        server.add("detector", 2)
        server.reload(lambda: server.ask("GET", "/v2/models/detector/versions/2")[0].status == 200)
        assert states() == {7: "UNAVAILABLE"}, states()
        server.ask("POST", "/v2/repository/models/classifier/load")
        assert states() == {7: "READY"}, states()


def test_pictures_that_are_big():
    """Decoded at a fraction: the same things at about the same places, in less time."""
    scene = (MODELS / "pictures" / "scene_1.jpg").read_bytes()
    found = {}
    for resize in ("exact", "fast"):
        with Server("--resize", resize) as server:
            found[resize] = server.json("POST", "/detect?model=detector", scene)
    exact, fast = found["exact"]["detections"], found["fast"]["detections"]
    size = [(answer["width"], answer["height"]) for answer in found.values()]
    assert size[0] == size[1] and exact
    assert [one["class"] for one in exact] == [one["class"] for one in fast]
    for one, other in zip(exact, fast):
        assert all(abs(a - b) < size[0][0] / 50 for a, b in zip(one["bbox"], other["bbox"])), (
            one, other)
    assert exact != fast
    print(f"   decode {found['exact']['times_ms']['decode']} ms, at a fraction "
          f"{found['fast']['times_ms']['decode']} ms")


def make_png(w, h):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(bytes(h * (1 + 3 * w)), 9)) + chunk(b"IEND", b""))


def test_limits_of_pictures():
    png = make_png(300, 200)
    for option, value in (("--max-megapixels", "0.05"), ("--max-side", "299"),
                          ("--max-decoded", "179999")):
        with Server(option, value, models=("classifier",)) as server:
            server.json("POST", "/infer", png, status=413)
    with Server("--max-decoded", "180000", models=("classifier",)) as server:
        server.json("POST", "/infer", png)


def test_memory_for_models():
    size = (MODELS / "shapes_classifier.tflite").stat().st_size
    with Server("--model-memory", str(2 * size), models=("classifier",)) as server:
        server.add("detector", 1)
        server.reload(lambda: any("for all models" in line for line in server.log))
        server.json("POST", "/infer", PICTURE)
        answer = server.json("POST", "/infer?model=detector", PICTURE, status=503)
        assert "MiB" in answer["error"], answer


if __name__ == "__main__":
    sys.exit(main(globals()))
