#!/usr/bin/env python3
"""The driver for Dynamic Resource Allocation, between a kubelet and an API server that are neither.

usage: dra.py scree-device-plugin    exit 77: skipped, with the reason
"""
import http.server
import json
import pathlib
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from grpcio import LACK, grpc  # noqa: E402

if not grpc:
    print(LACK)
    sys.exit(77)

from kubelet import MACHINE, expect  # noqa: E402
from wire import field, pick  # noqa: E402

SLICES = "/apis/resource.k8s.io/v1/resourceslices"
DRIVER = "/k8s.io.kubelet.pkg.apis.dra.v1.DRAPlugin/"


def claim(name, uid, devices, driver="npu.rockchip.com", pool="board-1"):
    results = [{"request": "npu", "driver": driver, "pool": pool, "device": d} for d in devices]
    return {"metadata": {"name": name, "namespace": "ml", "uid": uid},
            "status": {"allocation": {"devices": {"results": results}}} if devices else {}}


class Api(http.server.BaseHTTPRequestHandler):
    """Nodes, ResourceSlices and ResourceClaims, as far as a driver asks for them."""
    protocol_version = "HTTP/1.1"
    token, node_uid = "first", "node-uid"
    slices, claims, asked = {}, {}, []
    chunked = False
    conflicts = 0

    def reply(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        if Api.chunked:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for at in range(0, len(body), 100):
                part = body[at:at + 100]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        self.close_connection = True

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        Api.asked.append((self.command, self.path))
        if self.headers.get("Authorization") != f"Bearer {Api.token}":
            return self.reply(401, {})
        if self.path == "/api/v1/nodes/board-1":
            return self.reply(200, {"metadata": {"uid": Api.node_uid}})
        match = re.fullmatch(r"/apis/resource\.k8s\.io/v1/namespaces/ml/resourceclaims/(.*)", self.path)
        if match:
            found = Api.claims.get(match.group(1))
            return self.reply(200, found) if found else self.reply(404, {})
        if self.path.startswith(SLICES):
            return self.slice(self.path[len(SLICES) + 1:], body)
        return self.reply(404, {})

    def slice(self, name, body):
        if self.command == "GET":
            found = Api.slices.get(name)
            return self.reply(200, found) if found else self.reply(404, {})
        value = json.loads(body)
        name = name or value["metadata"]["name"]
        old = Api.slices.get(name)
        if Api.conflicts:
            Api.conflicts -= 1
            return self.reply(409, {})
        if (old or {}).get("metadata", {}).get("resourceVersion") != value["metadata"].get("resourceVersion"):
            return self.reply(409, {})
        value["metadata"]["resourceVersion"] = str(time.monotonic_ns())
        Api.slices[name] = value
        return self.reply(200 if old else 201, value)

    do_GET = do_POST = do_PUT = answer

    def log_message(self, *_):
        pass


def certificate(folder, name):
    """A certificate for the name that is its own authority."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                    "-nodes", "-keyout", folder / "key.pem", "-out", folder / "ca.crt", "-days", "2",
                    "-subj", "/CN=test", "-addext", f"subjectAltName=DNS:{name}"],
                   check=True, capture_output=True)


def serve(folder):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.crt", folder / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def wait_for(what, condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"FAIL {what}: not within {seconds} s")
        time.sleep(0.02)
    print(f"ok {what}")


def published():
    found = Api.slices.get("board-1-npu.rockchip.com")
    return [d["name"] for d in found["spec"]["devices"]] if found else None


def prepare(channel, *claims, method="NodePrepareResources"):
    """{uid: (devices, error)}"""
    request = b"".join(field(1, field(1, "ml") + field(2, uid) + field(3, name)) for name, uid in claims)
    answer = channel.unary_unary(DRIVER + method)(request, timeout=20)
    result = {}
    for entry in pick(answer, 1):
        value = (pick(entry, 2) or [b""])[0]
        error = (pick(value, 2) if method == "NodePrepareResources" else pick(value, 1)) or [b""]
        devices = [(pick(d, 3)[0].decode(), pick(d, 4)[0].decode()) for d in pick(value, 1)
                   ] if method == "NodePrepareResources" else []
        result[pick(entry, 1)[0].decode()] = (devices, error[0].decode())
    return result


def register(channel):
    info = channel.unary_unary("/pluginregistration.Registration/GetInfo")(b"", timeout=10)
    expect("type", pick(info, 1), [b"DRAPlugin"])
    expect("name", pick(info, 2), [b"npu.rockchip.com"])
    expect("versions", pick(info, 4),
           [b"v1.DRAPlugin", b"v1.DRAResourceHealth", b"v1alpha1.DRAResourceHealth"])
    channel.unary_unary("/pluginregistration.Registration/NotifyRegistrationStatus")(field(1, 1), timeout=10)


def play_slices(channel, machine, folder):
    expect("nothing is published before the kubelet registers", published(), None)
    register(channel)
    wait_for("published", lambda: published() == ["accel0-0", "accel0-1", "accel0-2"])
    found = Api.slices["board-1-npu.rockchip.com"]
    expect("owner", found["metadata"]["ownerReferences"][0]["uid"], "node-uid")
    expect("pool", found["spec"]["pool"], {"name": "board-1", "generation": 1, "resourceSliceCount": 1})
    expect("attributes", found["spec"]["devices"][0]["attributes"],
           {"driver": {"string": "rocket"}, "npu": {"string": "accel0"}, "cores": {"int": 1},
            "kernelVersion": {"version": "6.18.0"}, "mesaVersion": {"version": "25.3.4"}})
    Api.slices.clear()  # as the kubelet does when it starts
    Api.chunked, Api.node_uid = True, "another-uid"
    register(channel)
    wait_for("published again", published)
    found = Api.slices["board-1-npu.rockchip.com"]
    expect("owner, of a node that was deleted", found["metadata"]["ownerReferences"][0]["uid"], "another-uid")
    (folder / "token").write_text("second\n")
    Api.token, Api.conflicts = "second", 1
    stream = channel.unary_stream("/v1.DRAResourceHealth/NodeWatchResources")(b"")

    def health():
        return [pick(d, 2)[0] for d in pick(next(stream), 1)]

    expect("healthy", health(), [1, 1, 1])
    machine.write_text(MACHINE.replace("link /sys/bus/platform/drivers/rocket/fdab0000.npu ../../x\n", ""))
    expect("unhealthy", health(), [2, 2, 2])
    wait_for("nothing offered, with a new token, after a conflict", lambda: published() == [])
    machine.write_text(MACHINE)
    wait_for("offered again", lambda: len(published()) == 3)
    generation = Api.slices["board-1-npu.rockchip.com"]["spec"]["pool"]["generation"]
    expect("generation", generation, 3)


def play_claims(channel):
    Api.claims.update({
        "one": claim("one", "uid-1", ["accel0-0"]), "two": claim("two", "uid-2", ["accel0-1", "accel0-2"]),
        "pending": claim("pending", "uid-3", []), "gone": claim("gone", "uid-4", ["accel7-0"]),
        "other": claim("other", "uid-5", ["gpu"], driver="gpu.example.com")})
    cdi = "npu.rockchip.com/rk3588=accel0"
    expect("claims", prepare(channel, ("one", "uid-1"), ("two", "uid-2")),
           {"uid-1": ([("accel0-0", cdi)], ""), "uid-2": ([("accel0-1", cdi), ("accel0-2", cdi)], "")})
    expect("the same claim again", prepare(channel, ("one", "uid-1")), {"uid-1": ([("accel0-0", cdi)], "")})
    wrong = prepare(channel, ("pending", "uid-3"), ("gone", "uid-4"), ("one", "uid-x"), ("none", "uid-6"),
                    ("other", "uid-5"))
    expect("no answer is missing", sorted(wrong), ["uid-3", "uid-4", "uid-5", "uid-6", "uid-x"])
    expect("not allocated", wrong["uid-3"][1], "the claim is not allocated")
    expect("no such device", wrong["uid-4"][1], 'there is no device "accel7-0"')
    expect("another claim of the name", wrong["uid-x"][1], "the claim of this name is another one now")
    expect("no such claim", wrong["uid-6"][1], "the API server says 404 for the claim")
    expect("another driver's devices", wrong["uid-5"], ([], ""))
    expect("unprepared", prepare(channel, ("one", "uid-1"), ("none", "uid-6"), method="NodeUnprepareResources"),
           {"uid-1": ([], ""), "uid-6": ([], "")})
    for name in ("../../secrets/x", "a b", "A", "a%2fb", ""):
        try:
            prepare(channel, (name, "uid-1"))
            raise SystemExit(f"FAIL the name {name!r} was taken")
        except grpc.RpcError as error:
            expect(f"refused: {name!r}", error.code(), grpc.StatusCode.INVALID_ARGUMENT)


def main():
    if not shutil.which("openssl"):
        print("skipped: no openssl, to make a certificate")
        return 77
    folder = pathlib.Path(tempfile.mkdtemp(prefix="scree-dra-"))
    registry, machine = folder / "plugins_registry", folder / "machine.txt"
    registry.mkdir()
    machine.write_text(MACHINE + "file /proc/sys/kernel/osrelease\n| 6.18.0-rc2-edge\n")
    certificate(folder, "kubernetes.default.svc")
    (folder / "token").write_text("first\n")
    server = serve(folder)
    # While a cluster's authority changes there are several; one that is not understood is passed over.
    (folder / "ca.crt").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" +
                                   (folder / "ca.crt").read_text())
    log = open(folder / "log", "w", encoding="utf-8")
    arguments = [sys.argv[1], "--dra", "--node-name", "board-1", "--registry-dir", registry, "--root", machine,
                 "--cdi-dir", folder / "cdi", "--check-ms", "50", "--listen", f"unix:{folder}/http",
                 "--kmsg", "", "--mesa-version", "25.3.4", "--credentials-dir", folder,
                 "--api-server", f"127.0.0.1:{server.server_port}"]
    plugin = subprocess.Popen(arguments, stderr=log)
    try:
        wait_for("socket or end", lambda: (registry / "npu.rockchip.com.sock").exists() or
                 plugin.poll() is not None)
        if "without DRA" in (folder / "log").read_text():
            print("skipped: the program was built without DRA")
            return 77
        channel = grpc.insecure_channel(f"unix:{registry}/npu.rockchip.com.sock")
        play_slices(channel, machine, folder)
        play_claims(channel)
        status = pathlib.Path(f"/proc/{plugin.pid}/status").read_text()
        print("resident:", re.search(r"VmRSS:\s*(.*)", status).group(1))
        # A server with another name in its certificate is not talked to.
        certificate(folder, "example.org")
        other = serve(folder)
        asked = len(Api.asked)
        plugin.send_signal(signal.SIGTERM)
        expect("exit status", plugin.wait(timeout=10), 0)
        plugin = subprocess.Popen([*arguments[:-1], f"127.0.0.1:{other.server_port}"], stderr=log)
        wait_for("socket", (registry / "npu.rockchip.com.sock").exists)
        channel.close()
        channel = grpc.insecure_channel(f"unix:{registry}/npu.rockchip.com.sock")
        error = prepare(channel, ("one", "uid-1"))["uid-1"][1]
        expect("a wrong name is refused", "certificate" in error.lower() or "X509" in error, True)
        expect("and told nothing", len(Api.asked), asked)
        plugin.send_signal(signal.SIGTERM)
        expect("exit status", plugin.wait(timeout=10), 0)
    except BaseException:
        print((folder / "log").read_text()[-3000:])
        raise
    finally:
        plugin.kill()
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
