#!/usr/bin/env python3
"""gRPC: the Open Inference Protocol and health with grpcio where there is one, and HTTP/2 by hand.

usage: rpc.py SCREE MODELS-FOLDER [TEST...]
"""
import gzip
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import struct
import sys
import tempfile
import threading
import time
import zlib

from ops import make_certificate, wait_for
from server import PICTURE, Server, main

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "plugin"))
from grpcio import LACK, grpc  # noqa: E402
from wire import field, read, varint  # noqa: E402

PIXELS = bytes(range(256)) * (96 * 96 * 3 // 256)
SERVICE = "/inference.GRPCInferenceService/"


class Rpc(Server):
    def rpc_port(self):
        line, = [line for line in self.log if "gRPC on port" in line]
        return int(line.split("gRPC on port ")[1].split()[0].strip('"'))


def fields(message):
    """{number: [values]} of a message."""
    found = {}
    for number, value in read(message):
        found.setdefault(number, []).append(value)
    return found


def tensor(name="image", datatype="UINT8", shape=(1, 96, 96, 3), contents=b""):
    return field(5, field(1, name) + field(2, datatype) +
                 field(3, b"".join(map(varint, shape))) + contents)


def request(inputs, raw=(), model="classifier", **more):
    return (field(1, model) + field(3, "id") + b"".join(inputs) +
            b"".join(field(7, blob) for blob in raw) + more.get("extra", b""))


GOOD = request([tensor()], [PIXELS])


def call(channel, path, message=b"", code=None, timeout=10):
    ask = channel.unary_unary(path if path[0] == "/" else SERVICE + path)
    if code is None:
        return fields(ask(message, timeout=timeout))
    try:
        ask(message, timeout=timeout)
    except grpc.RpcError as error:
        assert error.code() == code, (path, error)
        return error.details()
    raise AssertionError(f"{path} did not fail")


def with_grpc(test):
    """A test that needs grpcio."""
    def run():
        if not grpc:
            print(LACK)
            return
        with Rpc() as server, grpc.insecure_channel(f"127.0.0.1:{server.rpc_port()}") as channel:
            test(server, channel)
    return run


@with_grpc
def test_server_and_models(server, channel):
    assert call(channel, "ServerLive") == {1: [1]} and call(channel, "ServerReady") == {1: [1]}
    assert call(channel, "ServerMetadata")[1] == [b"scree"]
    which = field(1, "classifier")
    assert call(channel, "ModelReady", which) == {1: [1]}
    assert call(channel, "ModelReady", field(1, "none")) == {1: [0]}
    about = call(channel, "ModelMetadata", which)
    assert about[2] == [b"1"] and about[3] == [b"litert_tflite"]
    image = fields(about[4][0])
    assert image == {1: [b"image"], 2: [b"UINT8"], 3: [b"\1\x60\x60\3"]}, image
    config = fields(call(channel, "ModelConfig", which + field(2, "1"))[1][0])
    assert config[4] == [1] and fields(config[5][0])[3] == [1], config
    call(channel, "ModelMetadata", field(1, "none"), grpc.StatusCode.NOT_FOUND)
    call(channel, "ModelMetadata", field(1, b"a\0b"), grpc.StatusCode.INVALID_ARGUMENT)
    call(channel, "ModelMetadata", b"\xff" * 9, grpc.StatusCode.INVALID_ARGUMENT)
    for path in ("None", "SystemSharedMemoryStatus", "TraceSetting", "/other.Service/Method"):
        call(channel, path, b"", grpc.StatusCode.UNIMPLEMENTED)
    assert len(call(channel, "RepositoryIndex")[1]) == 2
    call(channel, "RepositoryModelUnload", field(2, "detector"))
    assert call(channel, "ModelReady", field(1, "detector")) == {1: [0]}
    assert len(call(channel, "RepositoryIndex", field(2, 1))[1]) == 1
    call(channel, "RepositoryModelLoad", field(2, "detector"))
    assert call(channel, "ModelReady", field(1, "detector")) == {1: [1]}
    call(channel, "RepositoryModelLoad", field(2, "detector") + field(3, field(1, "config")),
         grpc.StatusCode.INVALID_ARGUMENT)


@with_grpc
def test_inference(server, channel):
    want = server.json("POST", "/v2/models/classifier/infer", json.dumps({"inputs": [
        {"name": "image", "datatype": "UINT8", "shape": [1, 96, 96, 3], "data": list(PIXELS)}]}))
    scores = bytes(want["outputs"][0]["data"])
    answer = call(channel, "ModelInfer", GOOD)
    assert answer[1] == [b"classifier"] and answer[2] == [b"1"] and answer[3] == [b"id"]
    assert answer[6] == [scores]
    told = {name[0]: fields(value[0]) for name, value in ((fields(entry)[1], fields(entry)[2])
                                                          for entry in answer[4])}
    assert told.pop(b"device") == {3: [b"cpu"]}, told
    assert sorted(told) == [b"compute_us", b"decode_us", b"postprocess_us", b"preprocess_us",
                            b"queue_us"], told
    assert all(set(value) == {2} for value in told.values()) and told[b"compute_us"][2][0] > 0, told
    assert fields(answer[5][0]) == {1: [b"scores"], 2: [b"UINT8"], 3: [b"\1\x0a"]}
    # Contents that are not raw: packed, one by one, in two pieces.
    packed = field(5, field(4, b"".join(map(varint, PIXELS))))
    single = field(5, b"".join(field(4, value) for value in PIXELS))
    pieces = field(5, b"".join(field(4, b"".join(map(varint, PIXELS[i:i + 5000])))
                               for i in range(0, len(PIXELS), 5000)))
    for contents in (packed, single, pieces):
        assert call(channel, "ModelInfer", request([tensor(contents=contents)]))[6] == [scores]
    # A picture, and its best class.
    element = struct.pack("<I", len(PICTURE)) + PICTURE
    best = server.json("POST", "/infer?top=1", PICTURE)["predictions"][0]
    classes = field(6, field(1, "scores") + field(2, field(1, "classification") +
                                                  field(2, field(2, 1))))
    answer = call(channel, "ModelInfer", request(
        [tensor(datatype="BYTES", shape=[1])], [element], extra=classes))
    score, index, label = answer[6][0][4:].decode().split(":")
    assert (float(score), int(index), label) == (
        best["score"], best["class_id"], best["label"])
    same = call(channel, "ModelInfer", request([tensor(
        datatype="BYTES", shape=[1], contents=field(5, field(8, PICTURE)))], extra=classes))
    assert same[6] == answer[6]
    _, text = server.ask("GET", "/metrics")
    assert b'api="grpc",code="0"' in text, text


@with_grpc
def test_wrong_messages(server, channel):
    bad = grpc.StatusCode.INVALID_ARGUMENT
    for message in (
            b"", b"\xff", GOOD[:-1], request([tensor()], []), request([], [PIXELS]),
            request([tensor()], [PIXELS, PIXELS]), request([tensor()] * 2, [PIXELS] * 2),
            request([tensor()], [PIXELS[1:]]), request([tensor()], [PIXELS + b"x"]),
            request([tensor(name="x")], [PIXELS]), request([tensor(datatype="INT8")], [PIXELS]),
            request([tensor(datatype="x")], [PIXELS]), request([tensor(shape=[])], [PIXELS]),
            request([tensor(shape=[-1, 96, 96, 3])], [PIXELS]),
            request([tensor(shape=[1 << 32, 1 << 32])], [PIXELS]),
            request([tensor(shape=[1] * 17)], [PIXELS]),
            request([tensor(shape=[1 << 62, 4])], [PIXELS]),
            request([tensor(contents=field(5, field(4, 256)))]),
            request([tensor(contents=field(5, field(4, b"\1" * (len(PIXELS) + 1))))]),
            request([tensor(contents=field(5, field(4, b"\xff" * 99)))]),
            request([tensor(contents=field(5, field(6, b"\0" * 4)))]),
            request([tensor(contents=field(5, field(4, b"\1" * len(PIXELS))))], [PIXELS]),
            request([tensor(datatype="FP16", contents=field(5, field(4, b"\1")))]),
            request([tensor(datatype="BYTES", shape=[1])], [b"\xff\xff\xff\xff"]),
            request([tensor()] * 17, [PIXELS]),
            request([tensor()], [PIXELS], extra=field(6, field(1, "none"))),
            request([tensor()], [PIXELS], extra=field(6, field(1, "scores")) * 2),
            request([tensor()], [PIXELS], extra=field(6, field(1, "scores")) * 100000)):
        call(channel, "ModelInfer", message, bad)
    call(channel, "ModelInfer", request([tensor()], [PIXELS], model="none"),
         grpc.StatusCode.NOT_FOUND)
    late = request([tensor()], [PIXELS], extra=field(4, field(1, "timeout") +
                                                     field(2, field(2, 1))))
    call(channel, "ModelInfer", late, grpc.StatusCode.DEADLINE_EXCEEDED)
    big = request([tensor()], [bytes(11 << 20)])
    call(channel, "ModelInfer", big, grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert 6 in call(channel, "ModelInfer", GOOD)


@with_grpc
def test_streams(server, channel):
    stream = channel.stream_stream(SERVICE + "ModelStreamInfer")
    messages = [request([tensor()], [bytes([i]) * len(PIXELS)], extra=field(3, str(i)))
                for i in range(100)]
    messages.insert(50, request([tensor()], [PIXELS], model="none"))
    answers = [fields(answer) for answer in stream(iter(messages), timeout=60)]
    assert len(answers) == 101 and answers[50] == {1: [b"there is no such model"]}, answers[50]
    ids = [fields(answer[2][0])[3][0].decode() for i, answer in enumerate(answers) if i != 50]
    assert ids == [str(i) for i in range(100)], ids
    assert list(stream(iter(()), timeout=10)) == []


@with_grpc
def test_health(server, channel):
    check = "/grpc.health.v1.Health/Check"
    for service in ("", "inference.GRPCInferenceService", "classifier"):
        assert call(channel, check, field(1, service) if service else b"") == {1: [1]}
    call(channel, check, field(1, "none"), grpc.StatusCode.NOT_FOUND)
    watch = channel.unary_stream("/grpc.health.v1.Health/Watch")(field(1, "detector"), timeout=20)
    assert fields(next(watch)) == {1: [1]}
    call(channel, "RepositoryModelUnload", field(2, "detector"))
    assert fields(next(watch)) == {1: [2]}
    call(channel, "RepositoryModelLoad", field(2, "detector"))
    assert fields(next(watch)) == {1: [1]}
    watch.cancel()
    unknown = channel.unary_stream("/grpc.health.v1.Health/Watch")(field(1, "none"), timeout=20)
    assert fields(next(unknown)) == {1: [3]}


@with_grpc
def test_calls_end_when_the_server_does(server, channel):
    watch = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"", timeout=20)
    stream = channel.stream_stream(SERVICE + "ModelStreamInfer")(
        iter(lambda: time.sleep(0.02) or GOOD, None), timeout=20)
    assert fields(next(watch)) == {1: [1]} and 2 in fields(next(stream))
    begin = time.monotonic()
    server.process.terminate()
    server.process.wait(20)
    assert time.monotonic() - begin < 9, "the drain took too long"
    try:
        list(watch)
    except grpc.RpcError as error:
        assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED), error


@with_grpc
def test_many_clients_with_their_own_answers(server, channel):
    blobs = [bytes([i * 16]) * len(PIXELS) for i in range(8)]
    want = [call(channel, "ModelInfer", request([tensor()], [blob]))[6] for blob in blobs]
    wrong = []

    def ask(i):
        for _ in range(20):
            if call(channel, "ModelInfer", request([tensor()], [blobs[i]]))[6] != want[i]:
                wrong.append(i)

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong


def test_tokens():
    if not grpc:
        print(LACK)
        return
    with Rpc() as probe:
        token = probe.folder / "token"
        token.write_text("a-long-secret\n")
        with Rpc("--token-file", str(token)) as server, \
                grpc.insecure_channel(f"127.0.0.1:{server.rpc_port()}") as channel:
            call(channel, "ServerLive")
            why = call(channel, "ModelInfer", GOOD, grpc.StatusCode.UNAUTHENTICATED)
            assert "token" in why, why
            ask = channel.unary_unary(SERVICE + "ModelInfer")
            assert ask(GOOD, metadata=[("authorization", "Bearer a-long-secret")], timeout=10)
            _, text = server.ask("GET", "/metrics", headers={"Authorization": "Bearer a-long-secret"})
            assert b'api="grpc",code="16"' in text, text


@with_grpc
def test_compression(server, channel):
    ask = channel.unary_unary(SERVICE + "ModelInfer")
    want = fields(ask(GOOD, timeout=10))[6]
    for how in (grpc.Compression.Gzip, grpc.Compression.Deflate):
        assert fields(ask(GOOD, timeout=10, compression=how))[6] == want
        # Small ones, which are handled on the event loop; clients leave those as they are that
        # compression makes no smaller.
        which = field(1, "classifier") + field(99, "x" * 5000)
        assert fields(channel.unary_unary(SERVICE + "ModelMetadata")(
            which, timeout=10, compression=how))[1] == [b"classifier"]
        stream = channel.stream_stream(SERVICE + "ModelStreamInfer")
        answers = [fields(fields(answer)[2][0])[6] for answer in
                   stream(iter([GOOD] * 20), timeout=60, compression=how)]
        assert answers == [want] * 20
        # A bomb: a thousand times as large as what is sent.
        for path, more in (("ModelInfer", 8 << 20), ("ServerLive", 100 << 10)):
            try:
                channel.unary_unary(SERVICE + path)(GOOD + field(99, bytes(more)), timeout=10,
                                                    compression=how)
                raise AssertionError(f"{path} took a bomb")
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, error
        # Health is watched with a message that came compressed.
        watch = channel.unary_stream("/grpc.health.v1.Health/Watch")(
            field(1, "detector") + field(99, "x" * 5000), timeout=20, compression=how)
        assert fields(next(watch)) == {1: [1]}
        watch.cancel()


def secure_channel(server, certificate, name):
    return grpc.secure_channel(f"127.0.0.1:{server.rpc_port()}",
                               grpc.ssl_channel_credentials(certificate),
                               options=[("grpc.ssl_target_name_override", name)])


def test_tls():
    if not grpc or not shutil.which("openssl"):
        print(LACK + ", or no openssl to make certificates with")
        return
    with tempfile.TemporaryDirectory() as folder:
        def certificate():
            with open(f"{folder}/cert.pem", "rb") as file:
                return file.read()

        make_certificate(folder, "one.example")
        first = certificate()
        with Rpc("--tls-cert", f"{folder}/cert.pem", "--tls-key", f"{folder}/key.pem",
                 "--header-timeout", "2000") as server:
            with secure_channel(server, first, "one.example") as channel:
                answer = call(channel, "ModelInfer", GOOD)[6]
                ask = channel.unary_unary(SERVICE + "ModelInfer")
                # More than a record, and more than a socket takes at once.
                big = request([tensor()], [PIXELS], extra=field(99, os.urandom(8 << 20)))
                assert fields(ask(big, timeout=30))[6] == answer
                stream = channel.stream_stream(SERVICE + "ModelStreamInfer")
                assert len(list(stream(iter([GOOD] * 50), timeout=60))) == 50
                check_shakes(server)
                # Renewed: who comes now gets the new one, who is there stays.
                make_certificate(folder, "two.example")
                server.process.send_signal(signal.SIGHUP)
                wait_for(lambda: peer_name(server) != ssl.PEM_cert_to_DER_cert(first.decode()))
                assert call(channel, "ModelInfer", GOOD)[6] == answer
            with secure_channel(server, certificate(), "two.example") as channel:
                assert call(channel, "ModelInfer", GOOD)[6] == answer


def shake(server, protocols=("h2",), version=None):
    """A socket after its handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(protocols)
    if version:
        context.minimum_version = context.maximum_version = version
    return context.wrap_socket(socket.create_connection(("127.0.0.1", server.rpc_port()), 20))


def peer_name(server):
    with shake(server) as peer:
        return peer.getpeercert(True)


def check_shakes(server):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with shake(server, version=version) as peer:
            assert peer.selected_alpn_protocol() == "h2" and peer.version()[-1] in "23"
            peer.sendall(PREFACE + frame(4, 0, 0) + frame(1, 5, 1, headers(SERVICE + "ServerLive")))
            assert 1 in {kind for kind, *_ in frames(peer)}
    for protocols, version in ((["http/1.1"], None), (["h2"], ssl.TLSVersion.TLSv1_1)):
        try:
            shake(server, protocols, version).close()
            raise AssertionError(f"{protocols} {version} was spoken")
        except (ssl.SSLError, ConnectionError, ValueError):
            pass
    # Who shakes no hands, or begins and goes no further, is closed in time; no TLS is not served.
    for hello in (b"", b"\x16\x03\x01\x02\x00\x01", PREFACE, b"\xff" * 1000):
        begin = time.monotonic()
        with socket.create_connection(("127.0.0.1", server.rpc_port()), 20) as peer:
            peer.sendall(hello)
            try:
                while peer.recv(4096):
                    pass
            except ConnectionError:
                pass
        assert time.monotonic() - begin < 8


@with_grpc
def test_ids(server, channel):
    """The id and the trace of a call are in its answer and in the log, its model in the metrics."""
    with Rpc("--log-format", "logfmt", "--log-level", "debug") as server, \
            grpc.insecure_channel(f"127.0.0.1:{server.rpc_port()}") as channel:
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        ask = channel.unary_unary(SERVICE + "ModelInfer")
        _, done = ask.with_call(GOOD, timeout=10, metadata=[
            ("x-request-id", "camera-7"), ("traceparent", f"00-{trace}-00f067aa0ba902b7-01")])
        sent = dict(done.initial_metadata())
        assert sent["x-request-id"] == "camera-7", sent
        _, done = ask.with_call(GOOD, timeout=10, metadata=[("x-request-id", "not good")])
        made = dict(done.initial_metadata())["x-request-id"]
        assert re.fullmatch(r"[0-9a-f]{16}-[0-9a-f]+", made), made
        call(channel, "ModelInfer", request([tensor()], [PIXELS[1:]]),
             grpc.StatusCode.INVALID_ARGUMENT)
        call(channel, "ModelMetadata", field(1, "detector"))
        call(channel, "None", b"", grpc.StatusCode.UNIMPLEMENTED)

        def line(path, status, *parts):
            return any(f"path={SERVICE}{path} grpc_status={status} " in line and
                       all(part in line for part in parts) for line in server.log)

        wait_for(lambda: line("ModelInfer", 0, "request_id=camera-7 ", f"trace_id={trace} ",
                              "peer=127.0.0.1 ", "model=classifier"))
        wait_for(lambda: line("ModelInfer", 0, f"request_id={made} ", "model=classifier"))
        wait_for(lambda: line("ModelInfer", 3, "model=classifier"))
        wait_for(lambda: line("None", 12, "level=info"))
        _, text = server.ask("GET", "/metrics")
        for model, version, code, n in (("classifier", 1, 0, 2), ("classifier", 1, 3, 1),
                                        ("detector", 1, 0, 1), ("", "", 12, 1)):
            wanted = (f'npu_requests_total{{model="{model}",version="{version}",api="grpc",'
                      f'code="{code}"}} {n}\n')
            assert wanted.encode() in text, (wanted, text)
        assert b'npu_request_duration_seconds_count{model="classifier",api="grpc"} 3' in text, text


# ---- HTTP/2 by hand ----

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags, stream, payload=b""):
    return (len(payload).to_bytes(3, "big") + bytes([kind, flags]) +
            stream.to_bytes(4, "big") + payload)


def literal(name, value):
    """A header, not indexed, not compressed."""
    def text(part):
        return (bytes([len(part)]) if len(part) < 127 else b"\x7f" + varint(len(part) - 127)) + part
    return b"\0" + text(name.encode()) + text(value.encode())


def headers(path=SERVICE + "ModelInfer", **more):
    pairs = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "x",
             "content-type": "application/grpc", "te": "trailers", **more}
    return b"".join(literal(name, value) for name, value in pairs.items())


def message(body, n=None):
    return b"\0" + (len(body) if n is None else n).to_bytes(4, "big") + body


def test_compression_by_hand():
    """What no client would send; the log has the status."""
    plain = field(1, "classifier")
    with Rpc("--log-format", "logfmt", "--log-level", "debug") as server:
        for encoding, flag, body, status in (
                ("gzip", 1, gzip.compress(plain), 0), ("deflate", 1, zlib.compress(plain), 0),
                ("gzip", 0, plain, 0), ("identity", 0, plain, 0),
                ("identity", 1, gzip.compress(plain), 13), (None, 1, gzip.compress(plain), 13),
                ("gzip", 2, gzip.compress(plain), 13), ("gzip", 255, gzip.compress(plain), 13),
                ("snappy", 1, plain, 12), ("gzip, gzip", 1, plain, 12), ("", 1, plain, 12),
                ("gzip", 1, plain, 13), ("gzip", 1, b"", 13),
                ("gzip", 1, gzip.compress(plain)[:-1], 13),
                ("gzip", 1, gzip.compress(plain) + b"x", 13),
                ("gzip", 1, gzip.compress(plain) * 2, 13),
                ("gzip", 1, gzip.compress(bytes(65 << 10)), 8)):
            before = len(server.log)
            more = {} if encoding is None else {"grpc-encoding": encoding}
            with connect(server) as peer:
                peer.sendall(frame(1, 4, 1, headers(SERVICE + "ModelMetadata", **more)) +
                             frame(0, 1, 1, bytes([flag]) + len(body).to_bytes(4, "big") + body))
                wait_for(lambda: any(f"grpc_status={status} " in line
                                     for line in server.log[before:]))
                assert any(kind == 1 for kind, *_ in frames(peer)), (encoding, flag, body)
        is_alive(server)


def test_changes_through_a_proxy():
    """Whoever is behind one on this machine is not of this machine."""
    with Rpc("--log-format", "logfmt", "--log-level", "debug") as server:
        for more, status in (({"x-forwarded-for": "192.0.2.7"}, 16), ({"forwarded": "for=192.0.2.7"}, 16), ({}, 0)):
            before = len(server.log)
            with connect(server) as peer:
                peer.sendall(frame(1, 4, 1, headers(SERVICE + "RepositoryModelUnload", **more)) +
                             frame(0, 1, 1, message(field(2, "detector"))))
                wait_for(lambda: any("grpc_status=" in line for line in server.log[before:]))
            assert any(f"grpc_status={status} " in line for line in server.log[before:]), (more, server.log[before:])
        server.json("GET", "/v2/models/detector/ready", status=503)


def connect(server):
    peer = socket.create_connection(("127.0.0.1", server.rpc_port()), 20)
    peer.sendall(PREFACE + frame(4, 0, 0))
    return peer


def frames(peer):
    """All frames until the peer closes, or 2 s without any: (kind, flags, stream, payload)."""
    peer.settimeout(2)
    data, found = b"", []
    try:
        while part := peer.recv(65536):
            data += part
    except OSError:
        pass
    while len(data) >= 9:
        n = int.from_bytes(data[:3], "big")
        found.append((data[3], data[4], int.from_bytes(data[5:9], "big"), data[9:9 + n]))
        data = data[9 + n:]
    return found


def is_alive(server):
    with connect(server) as peer:
        peer.sendall(frame(1, 5, 1, headers(SERVICE + "ServerLive")))
        peer.sendall(frame(6, 0, 0, b"12345678"))
        kinds = {kind for kind, *_ in frames(peer)}
    assert {1, 6} <= kinds, kinds


def test_how_many_calls():
    """The peer is told, as MAX_CONCURRENT_STREAMS, and refused what it has over that."""
    for n, options in ((16, ()), (2, ("--max-calls", "2"))):
        with Rpc(*options) as server, connect(server) as peer:
            for stream in range(1, 2 * n + 5, 2):
                peer.sendall(frame(1, 4, stream, headers()))
            found = frames(peer)
            settings = next(payload for kind, flags, _, payload in found if kind == 4 and not flags)
            assert b"\0\3" + n.to_bytes(4, "big") in settings, settings
            assert {stream for kind, _, stream, _ in found if kind == 3} == {2 * n + 1, 2 * n + 3}, found


def test_ends_that_come_apart():
    """More calls at once than messages may wait, whose ends come in frames of their own."""
    streams = range(1, 81, 2)
    with Rpc("--max-calls", str(len(streams))) as server, connect(server) as peer:
        for stream in streams:
            peer.sendall(frame(1, 4, stream, headers(SERVICE + "ModelReady")) +
                         frame(0, 0, stream, message(field(1, "classifier"))))
        time.sleep(0.3)
        for stream in streams:
            peer.sendall(frame(0, 1, stream))
        answered = {stream for kind, flags, stream, _ in frames(peer) if kind == 1 and flags & 1}
        assert answered == set(streams), answered


def test_rapid_reset():
    """CVE-2023-44487: calls that are opened and cancelled without end."""
    with Rpc() as server:
        with connect(server) as peer:
            closed = False
            try:
                for stream in range(1, 40001, 2):
                    peer.sendall(frame(1, 4, stream, headers()) +
                                 frame(0, 1, stream, message(b"")) +
                                 frame(3, 0, stream, (8).to_bytes(4, "big")))
            except OSError:
                closed = True
            closed = closed or any(kind == 7 for kind, *_ in frames(peer)) or peer.recv(1) == b""
            assert closed
        is_alive(server)


def test_cancelled_work_is_bounded():
    with Rpc() as server:
        with connect(server) as peer:
            for stream in range(1, 401, 2):
                peer.sendall(frame(1, 4, stream, headers()))
                body = message(GOOD)
                for i in range(0, len(body), 16384):
                    peer.sendall(frame(0, i + 16384 >= len(body), stream, body[i:i + 16384]))
                peer.sendall(frame(3, 0, stream, (8).to_bytes(4, "big")))
        is_alive(server)
        _, text = server.ask("GET", "/metrics")
        assert b"npu_queue_depth" in text
    # What came at once cannot be done in between: all but two are refused, cancelled as they are.
    with Rpc("--max-calls", "2", "--log-format", "logfmt", "--log-level", "debug") as server:
        with connect(server) as peer:
            peer.sendall(b"".join(frame(1, 4, stream, headers()) + frame(0, 1, stream, message(b"")) +
                                  frame(3, 0, stream, (8).to_bytes(4, "big")) for stream in range(1, 201, 2)))
            wait_for(lambda: sum("grpc_status=" in line for line in server.log) == 100)
        refused = sum("grpc_status=8 " in line for line in server.log)
        assert refused > 50, f"{refused} of 100 are refused"
        is_alive(server)


def is_cut_off(peer, data):
    """Whether the server closes the connection, whatever it says before."""
    try:
        peer.sendall(data)
        peer.settimeout(20)
        while peer.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


def test_floods():
    with Rpc() as server:
        for flood in (frame(6, 0, 0, b"12345678") * 100000,                # PING
                      frame(4, 0, 0) * 100000,                             # SETTINGS
                      frame(0, 0, 1, b"") * 100000,                        # DATA of nothing, on no stream
                      frame(1, 0, 1, headers()) + frame(9, 0, 1) * 100000,  # CONTINUATION
                      frame(1, 0, 1, headers()) +
                      frame(9, 0, 1, literal("a", "b" * 16000)) * 100,
                      b"\xff" * 100000, b"GET / HTTP/1.1\r\n\r\n"):
            with connect(server) as peer:
                assert is_cut_off(peer, flood), flood[:200]
        # These cost nothing but the time to read them.
        with connect(server) as peer:
            peer.sendall(frame(8, 0, 0, b"\0\0\0\1") * 100000 +             # WINDOW_UPDATE
                         frame(1, 4, 1, headers()) + frame(0, 0, 1) * 100000 + frame(0, 1, 1, message(b"")))
            assert any(kind == 1 and stream == 1 for kind, _, stream, _ in frames(peer))
        is_alive(server)


def resident(server):
    """In KiB."""
    text = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1])


def test_refusals_that_are_not_read():
    """Streams over a limit that is never acknowledged, and a client that does not listen: it is cut off."""
    with Rpc() as server:
        before = resident(server)
        with connect(server) as peer:
            streams = iter(range(1, 1 << 21, 2))
            try:
                while block := b"".join(frame(1, 4, stream, b"\x83")
                                        for stream, _ in zip(streams, range(4096))):
                    peer.sendall(block)
            except OSError:
                pass
            else:
                raise AssertionError("a million refusals wait for it")
        assert resident(server) < before + (64 << 10), "what waited for it was kept"
        is_alive(server)


def test_messages_that_never_come():
    with Rpc("--body-timeout", "1000", "--min-rate", "100000000", "--idle-timeout", "1000",
             "--header-timeout", "1000", "--send-timeout", "1000") as server:
        with connect(server) as slow, connect(server) as silent, \
                socket.create_connection(("127.0.0.1", server.rpc_port()), 20) as mute:
            # Announced, and dripping.
            slow.sendall(frame(1, 4, 1, headers()) + frame(0, 0, 1, message(b"", 1 << 20)))
            slow.sendall(frame(1, 4, 3, headers()))
            begin = time.monotonic()
            found = frames(slow)
            assert {stream for kind, _, stream, _ in found if kind == 1} == {1, 3}, found
            assert any(kind == 7 for kind, *_ in frames(silent)), "no GOAWAY"
            frames(mute)
            assert mute.recv(1) == b"", "who says nothing is kept"
            assert time.monotonic() - begin < 10
        is_alive(server)


def test_answers_that_are_not_taken():
    """A window that stays shut: the call is cancelled, and its memory is free."""
    with Rpc("--send-timeout", "1000", "--body-timeout", "1000") as server:
        with socket.create_connection(("127.0.0.1", server.rpc_port()), 20) as peer:
            peer.sendall(PREFACE + frame(4, 0, 0, b"\0\4\0\0\0\0"))  # INITIAL_WINDOW_SIZE 0
            peer.sendall(frame(1, 4, 1, headers(SERVICE + "RepositoryIndex")) +
                         frame(0, 1, 1, message(b"")))
            time.sleep(2)
            assert any(kind == 3 and stream == 1 for kind, _, stream, _ in frames(peer))
        is_alive(server)


def test_a_stream_that_failed_holds_up_nobody():
    """Its messages wait no more, though what it was told before cannot be sent yet."""
    with Rpc() as server:
        with socket.create_connection(("127.0.0.1", server.rpc_port()), 20) as peer:
            peer.sendall(PREFACE + frame(4, 0, 0, b"\0\4\0\0\0\0"))  # INITIAL_WINDOW_SIZE 0
            body = message(GOOD)
            good = frame(0, 0, 1, body[:16384]) + frame(0, 0, 1, body[16384:])
            peer.sendall(frame(1, 4, 1, headers(SERVICE + "ModelStreamInfer")) + good)
            assert any(kind == 1 for kind, *_ in frames(peer)), "no answer"
            peer.sendall(good + frame(0, 0, 1, message(b"\xff")) * 100 +
                         frame(0, 0, 1, message(b"", 0xffffffff)))
            time.sleep(0.5)
            peer.sendall(frame(1, 5, 3, headers("/none/None")))
            assert any(stream == 3 for *_, stream, _ in frames(peer)), "another call is not heard"
        is_alive(server)


def test_answers_of_a_stream_are_counted():
    """A client that asks on and does not take its answers: they may not fill the memory."""
    body = message(request([tensor()], [PIXELS], extra=field(3, "x" * 100000)))
    with Rpc("--max-body", "1000000", "--max-bodies", "1000000", "--log-format", "logfmt",
             "--log-level", "debug") as server:
        done = 0
        for _ in range(2):  # what they had is given back
            before = len(server.log)
            with socket.create_connection(("127.0.0.1", server.rpc_port()), 20) as peer:
                peer.sendall(PREFACE + frame(4, 0, 0, b"\0\4\0\0\0\0"))  # INITIAL_WINDOW_SIZE 0
                assert any(kind == 4 for kind, *_ in frames(peer))
                peer.sendall(frame(4, 1, 0) +  # larger windows for what the server reads
                             frame(1, 4, 1, headers(SERVICE + "ModelStreamInfer")))
                for _ in range(10):
                    peer.sendall(b"".join(frame(0, 0, 1, body[i:i + 16384])
                                          for i in range(0, len(body), 16384)))
                    done += 1
                    wait_for(lambda: server.json("GET", "/v2/models/classifier/stats")[
                        "model_stats"][0]["inference_count"] == done)
                time.sleep(0.5)
                peer.sendall(frame(4, 0, 0, b"\0\4\0\x7f\xff\xff") +  # now it takes them
                             frame(8, 0, 0, b"\0\x7f\xff\xff"))
                found = frames(peer)
            n = sum(len(payload) for kind, *_, payload in found if kind == 0)
            assert 100000 < n < 1000000, n
            assert any("ModelStreamInfer" in line and "grpc_status=8 " in line
                       for line in server.log[before:]), server.log[before:]
        is_alive(server)


def test_refused_at_work():
    """A stream breaks the rules while a message of it is at work and answers wait for a window."""
    with Rpc("--send-timeout", "4000") as server:
        with socket.create_connection(("127.0.0.1", server.rpc_port()), 20) as peer:
            peer.sendall(PREFACE + frame(4, 0, 0, b"\0\4\0\0\0\0"))  # INITIAL_WINDOW_SIZE 0
            body = message(GOOD)
            good = frame(0, 0, 1, body[:16384]) + frame(0, 0, 1, body[16384:])
            peer.sendall(frame(1, 4, 1, headers(SERVICE + "ModelStreamInfer")) + good +
                         frame(4, 1, 0))  # larger windows for what the server reads
            found = frames(peer)
            assert {1} == {stream for kind, _, stream, _ in found if kind == 1}, "no answer"
            peer.sendall(good * 8 + frame(0, 0, 1, message(b"", 0xffffffff)))
            time.sleep(4)
            assert any(kind == 3 and stream == 1 for kind, _, stream, _ in frames(peer))
        is_alive(server)


def test_rate():
    """One bucket for a client's requests by HTTP, its calls and the messages of its streams."""
    def statuses():
        return [(line.split("path=")[1].split()[0].split("/")[-1], line.split("grpc_status=")[1].split()[0])
                for line in server.log if "grpc_status=" in line]

    def good(stream):
        body = message(GOOD)
        return frame(0, 0, stream, body[:16384]) + frame(0, 0, stream, body[16384:])
    with Rpc("--address", "", "--rate", "0.001", "--burst", "5", "--log-format", "logfmt", "--log-level", "debug") as server:
        server.json("POST", "/infer", PICTURE)
        with connect(server) as peer:
            peer.sendall(frame(1, 4, 1, headers(SERVICE + "ModelMetadata")) +
                         frame(0, 1, 1, message(field(1, "classifier"))))
            wait_for(lambda: statuses() == [("ModelMetadata", "0")])
            peer.sendall(frame(1, 4, 3, headers(SERVICE + "ModelStreamInfer")) + good(3) + frame(4, 1, 0))
            for _ in range(2):
                peer.sendall(good(3))
            assert statuses() == [("ModelMetadata", "0")]  # five tokens are gone
            peer.sendall(good(3))
            wait_for(lambda: statuses()[1:] == [("ModelStreamInfer", "8")])
            peer.sendall(frame(1, 4, 5, headers(SERVICE + "ModelMetadata")))
            wait_for(lambda: statuses()[2:] == [("ModelMetadata", "8")])
            peer.sendall(frame(1, 5, 7, headers(SERVICE + "ServerLive")) + frame(0, 1, 7, message(b"")))
        server.json("POST", "/infer", PICTURE, status=429)
        is_alive(server)
        assert all("peer=127.0.0.1 " in line for line in server.log if "grpc_status=" in line), server.log


def test_too_many_of_one_address():
    with Rpc("--max-connections-per-ip", "4") as server:
        peers = [connect(server) for _ in range(4)]
        time.sleep(0.3)
        with socket.create_connection(("127.0.0.1", server.rpc_port()), 20) as one_more:
            assert one_more.recv(100) == b""
        for peer in peers:
            peer.close()
        time.sleep(0.3)
        is_alive(server)


if __name__ == "__main__":
    sys.exit(main(globals()))
