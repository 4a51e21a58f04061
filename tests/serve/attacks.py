#!/usr/bin/env python3
"""Clients that mean harm: slow ones by the hundred, bombs, floods, requests that can be read in two ways, paths that
lead out. The server says no, or closes; it stays what it was, and others have their answers as before.

usage: attacks.py SCREE MODELS-FOLDER [TEST...]      $ATTACK_CONNECTIONS (150): slow ones at once

From 1000 connections on, the p99 of a client that is not slow must be less than twice that without them, for as many
requests as it takes to know one; with fewer both are only printed.
"""
import contextlib
import http.client
import os
import pathlib
import re
import resource
import socket
import struct
import sys
import threading
import time
import zlib

from server import MODELS, PICTURE, Server, main

N = int(os.environ.get("ATTACK_CONNECTIONS", "150"))
IS_LONG = N >= 1000
SECONDS = 6 if IS_LONG else 1
PER_IP = 32
TIMEOUT = "15000" if IS_LONG else "1500"
SLOW = ("--header-timeout", TIMEOUT, "--body-timeout", TIMEOUT, "--send-timeout", TIMEOUT, "--min-rate", "10M")
if IS_LONG:
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
HEALTH = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
REQUEST = b"POST /infer?top=1 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(PICTURE) + PICTURE


# ---- slow ones ----

def measure(server, seconds):
    """The times of a client that comes from an address of its own, sorted."""
    times, end = [], time.monotonic() + seconds
    peer = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20, source_address=("127.0.0.2", 0))
    while time.monotonic() < end:
        begin = time.monotonic()
        peer.request("POST", "/infer?top=1", PICTURE)
        answer = peer.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
        times.append(time.monotonic() - begin)
    peer.close()
    return sorted(times)


class Slow:
    """N connections that send `first` at once. Small segments, as they come over a network, keep the kernel's
    buffers small: they are some segments long, which within a machine are 64 KiB."""

    def __init__(self, server, first):
        self.peers = []
        for _ in range(N):
            peer = socket.socket()
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
            peer.settimeout(20)
            peer.connect(("127.0.0.1", server.port))
            peer.setblocking(False)
            self.peers.append(peer)
        self.begin = time.monotonic()
        self.send(first)

    def send(self, data):
        for peer in self.peers:
            with contextlib.suppress(OSError):
                peer.send(data)

    def close(self):
        for peer in self.peers:
            peer.close()


def check_slow(first, more, limits, settle=0):
    """Many that are slow, up to `limits` of them let in, and one that is not; the slow ones are gone in time."""
    with Server(*SLOW, *limits, models=("classifier",)) as server:
        measure(server, 0.3)
        alone = measure(server, SECONDS)
        slow = Slow(server, first)
        done = threading.Event()

        def drip():
            while not done.wait(0.5):
                slow.send(more)

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            time.sleep(settle)
            n, until = count(server), time.monotonic() + 1
            while n < N and time.monotonic() < until:  # it may take a while to let them in
                time.sleep(0.02)
                n = count(server)
            for _ in range(5):  # who is let in only to be closed is not in all of them
                time.sleep(0.02)
                n = min(n, count(server))
            beside = measure(server, SECONDS)
        finally:
            done.set()
            thread.join()
        deadline = slow.begin + 30
        while count(server) > 1 and time.monotonic() < deadline:
            time.sleep(0.2)
        left, seconds = count(server), time.monotonic() - slow.begin
        slow.close()
        before, then = (times[int(len(times) * 0.99)] * 1e3 for times in (alone, beside))
        print(f"   {n} of {N} slow connections: p99 {before:.1f} ms alone ({len(alone)} requests), {then:.1f} ms "
              f"beside them ({len(beside)}); gone after {seconds:.1f} s")
        assert left <= 1, f"{left} connections are still there"
        assert not IS_LONG or then < 2 * before, (before, then)
        return n


def count(server):
    """The sockets that the server has open to clients, without asking it."""
    n = 0
    port = f":{server.port:04X}"
    with open("/proc/net/tcp") as table:
        for line in table.readlines()[1:]:
            part = line.split()
            # 01: established, 08: the other side has ended; inode 0: nobody has it open
            n += part[1].endswith(port) and part[3] in ("01", "08") and part[9] != "0"
    return n


MANY = ("--max-connections", str(N + 100), "--max-connections-per-ip", str(N + 50))


def test_slow_headers():
    n = check_slow(b"POST /infer HTTP/1.1\r\n", b"X: y\r\n", MANY)
    assert n >= N, n


def test_slow_bodies():
    n = check_slow(b"POST /infer HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n", b"x", MANY)
    assert n >= N, n


def test_slow_chunks():
    check_slow(b"POST /infer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", MANY)


def test_slow_reads():
    """Clients that ask for more than they take: 40 KB and more, again and again, until no more goes into the sockets."""
    check_slow(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 100, b"", MANY)


def test_what_waits_for_a_client_is_bounded():
    """Of answers that nobody takes the kernel keeps --send-buffer, not megabytes; those who read get all of them."""
    request = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
    for size in (16 << 10, 256 << 10):
        with Server("--send-buffer", str(size), models=("classifier",)) as server:
            _, text = server.ask("GET", "/openapi.json")
            with socket.socket() as peer:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                peer.settimeout(20)
                peer.connect(("127.0.0.1", server.port))
                peer.sendall(request * 60)
                time.sleep(0.5)
                # Twice what was asked for, as the kernel counts, and a packet more.
                waits = queued(server, peer)
                assert waits <= 2 * size + (128 << 10), (size, waits)
                got = 0
                while got < 60 * len(text):
                    part = peer.recv(1 << 16)
                    assert part, got
                    got += len(part)


def queued(server, peer):
    """Bytes in the send queue of the server's side of a connection."""
    ends = [f":{port:04X}" for port in (server.port, peer.getsockname()[1])]
    with open("/proc/net/tcp") as table:
        for line in table.readlines()[1:]:
            part = line.split()
            if part[1].endswith(ends[0]) and part[2].endswith(ends[1]):
                return int(part[4].split(":")[0], 16)
    raise AssertionError("the connection is gone")


def test_one_address_has_its_share():
    n = check_slow(b"POST /infer HTTP/1.1\r\n", b"X: y\r\n", ("--max-connections-per-ip", str(PER_IP)))
    assert n <= PER_IP + 1, n


def test_a_flood_of_connections():
    """Thousands that come and go, or stay: whoever is over the limit is closed at once, others are served."""
    with Server("--max-connections-per-ip", str(PER_IP), models=("classifier",)) as server:
        end, made = time.monotonic() + SECONDS, 0
        done = threading.Event()

        def flood():
            nonlocal made
            peers = []
            while not done.is_set():
                with contextlib.suppress(OSError):
                    peers.append(socket.create_connection(("127.0.0.1", server.port), 5))
                    made += 1
                if len(peers) > 200:
                    for peer in peers:
                        peer.close()
                    peers.clear()
            for peer in peers:
                peer.close()

        thread = threading.Thread(target=flood)
        thread.start()
        try:
            times = measure(server, SECONDS)
        finally:
            done.set()
            thread.join()
        assert time.monotonic() >= end and times
        print(f"   {made} connections while {len(times)} requests were answered, p99 "
              f"{times[int(len(times) * 0.99)] * 1e3:.1f} ms")
        # Those who have left count until that is noticed.
        end = time.monotonic() + 20
        while not is_served(server):
            assert time.monotonic() < end
            time.sleep(0.02)


def is_served(server):
    try:
        server.json("POST", "/infer", PICTURE)
    except (OSError, http.client.HTTPException):
        return False
    return True


# ---- what is sent as it should not be ----

def exchange(server, data, end=True, seconds=20):
    """Everything that the server answers until it closes."""
    answer = b""
    with socket.create_connection(("127.0.0.1", server.port), seconds) as peer:
        with contextlib.suppress(ConnectionError):
            peer.sendall(data)
            if end:
                with contextlib.suppress(OSError):  # it is closed already
                    peer.shutdown(socket.SHUT_WR)
            while part := peer.recv(65536):
                answer += part
    return answer


def statuses(answer):
    """Of all answers in a stream; bodies are skipped by their lengths."""
    found = []
    while answer:
        head, _, rest = answer.partition(b"\r\n\r\n")
        found.append(int(head[9:12]))
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        answer = rest[int(length[1]) if length else len(rest):]
    return found


def test_headers_without_end():
    with Server(models=("classifier",)) as server:
        for more in (b"X: " + b"y" * 40000, b"X: y\r\n" * 5000, b"y" * 200000,
                     b"\r\n".join(b"X%d: y" % i for i in range(65)), b"X: " + b"y" * 9000):
            answer = exchange(server, b"GET /health HTTP/1.1\r\nHost: x\r\n" + more +
                              b"\r\nConnection: close\r\n\r\n", end=False)
            assert answer[9:12] == b"431", (more[:20], answer)
        assert exchange(server, b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")[9:12] in (
            b"", b"414", b"431")
        fits = b"\r\n".join(b"X%d: y" % i for i in range(60))
        assert exchange(server, b"GET /health HTTP/1.1\r\nHost: x\r\n" + fits + b"\r\n\r\n")[9:12] == b"200"
        server.json("GET", "/health")


# Requests that two servers may read in two ways. Behind each, as the body of one reading, stands a request for
# /smuggled: if that is answered on its own, it went through.
INNER = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
TWO_WAYS = {
    "both lengths": b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % (5 + len(INNER)),
    "both, the other way round": b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(INNER),
    "two lengths, the other way round": b"Content-Length: %d\r\nContent-Length: 0\r\n\r\n" % len(INNER),
    "a list of lengths": b"Content-Length: 0, %d\r\n\r\n" % len(INNER),
    "a length with a sign": b"Content-Length: +0\r\n\r\n",
    "a negative length": b"Content-Length: -1\r\n\r\n",
    "a length in hexadecimal": b"Content-Length: 0x0\r\n\r\n",
    "an empty length": b"Content-Length:\r\n\r\n",
    "an encoding that is none": b"Transfer-Encoding: xchunked\r\n\r\n",
    "an encoding behind another": b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "two encodings": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "a space before the colon": b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a folded encoding": b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "a tab before the encoding": b"Transfer-Encoding:\tchunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "a chunk's size with a sign": b"Transfer-Encoding: chunked\r\n\r\n+0\r\n\r\n",
    "a chunk's size in 20 digits": b"Transfer-Encoding: chunked\r\n\r\n10000000000000000000\r\n",
}


def test_requests_that_can_be_read_in_two_ways():
    with Server("--header-timeout", "500", "--body-timeout", "500", models=("classifier",)) as server:
        through = []
        for name, shape in TWO_WAYS.items():
            answer = exchange(server, b"POST /infer HTTP/1.1\r\nHost: x\r\n" + shape + INNER)
            assert not answer or answer[9:10] == b"4", (name, answer)
            if b"there is nothing at this path" in answer:
                through.append(name)
        print("   read on behind:", ", ".join(through) or "none")
        assert not through, through
        server.json("GET", "/health")


# Lines that are none, or that end where another server says they go on.
ODD_LINES = {
    "a bare CR between headers": b"GET /health HTTP/1.1\r\nHost: x\rX: y\r\n\r\n",
    "a bare CR in a value": b"GET /health HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n",
    "a header behind a bare CR": b"GET /health HTTP/1.1\r\nHost: x\r\nX: a\rTransfer-Encoding: chunked\r\n\r\n",
    "two CRs": b"GET /health HTTP/1.1\r\nHost: x\r\r\n\r\n",
    "two CRs in front of a header": b"GET /health HTTP/1.1\r\nHost: x\r\r\nContent-Length: 5\r\n\r\n",
    "a CR at the end of the headers": b"GET /health HTTP/1.1\r\nHost: x\r\n\r\r\n",
    "bare LFs": b"GET /health HTTP/1.1\nHost: x\nX: y\n\n",
    "a bare LF between headers": b"GET /health HTTP/1.1\r\nHost: x\nX: y\r\n\r\n",
    "a bare LF behind the first line": b"GET /health HTTP/1.1\nHost: x\r\n\r\n",
    "a bare LF behind the last header": b"GET /health HTTP/1.1\r\nHost: x\n\r\n",
    "a bare LF at the end of the headers": b"GET /health HTTP/1.1\r\nHost: x\r\n\n",
    "a NUL in a value": b"GET /health HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
    "NULs instead of a line's end": b"GET /health HTTP/1.1\r\nHost: x\r\nX: a\0\0Y\0 b\r\n\r\n",
    "a NUL in a name": b"GET /health HTTP/1.1\r\nHost: x\r\nX\0Y: a\r\n\r\n",
    "a NUL for a colon": b"GET /health HTTP/1.1\r\nHost: x\r\nX\0 a: b\r\n\r\n",
    "a NUL at the beginning of a line": b"GET /health HTTP/1.1\r\nHost: x\r\n\0X: a\r\n\r\n",
    "a NUL in the path": b"GET /health\0x HTTP/1.1\r\nHost: x\r\n\r\n",
    "a NUL in the query": b"GET /health?a=b\0c HTTP/1.1\r\nHost: x\r\n\r\n",
    "a NUL in the method": b"GET\0 /health HTTP/1.1\r\nHost: x\r\n\r\n",
    "a NUL in the version": b"GET /health HTTP/1.1\0\r\nHost: x\r\n\r\n",
    "a folded value": b"GET /health HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n",
    "a value folded by a tab": b"GET /health HTTP/1.1\r\nHost: x\r\nX: a\r\n\tb\r\n\r\n",
    "a folded first header": b"GET /health HTTP/1.1\r\n Host: x\r\n\r\n",
    "a fold of nothing": b"GET /health HTTP/1.1\r\nHost: x\r\n \r\n\r\n",
    "a line without a colon": b"GET /health HTTP/1.1\r\nHost: x\r\nX\r\n\r\n",
    "an empty name": b"GET /health HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n",
    "a space before a colon": b"GET /health HTTP/1.1\r\nHost: x\r\nX : y\r\n\r\n",
    "a space in a name": b"GET /health HTTP/1.1\r\nHost: x\r\nX Y: y\r\n\r\n",
    "a name that is no token": b"GET /health HTTP/1.1\r\nHost: x\r\nX(Y): y\r\n\r\n",
    "control characters in a value": b"GET /health HTTP/1.1\r\nHost: x\r\nX: \x01\r\n\r\n",
    "a DEL in a value": b"GET /health HTTP/1.1\r\nHost: x\r\nX: \x7f\r\n\r\n",
    "no host": b"GET /health HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /health HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "two spaces": b"GET  /health HTTP/1.1\r\nHost: x\r\n\r\n",
    "two spaces before the version": b"GET /health  HTTP/1.1\r\nHost: x\r\n\r\n",
    "a space behind the version": b"GET /health HTTP/1.1 \r\nHost: x\r\n\r\n",
    "tabs": b"GET\t/health\tHTTP/1.1\r\nHost: x\r\n\r\n",
    "a space in the path": b"GET /hea lth HTTP/1.1\r\nHost: x\r\n\r\n",
    "a control character in the path": b"GET /health\x01 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a CR in the path": b"GET /health\r HTTP/1.1\r\nHost: x\r\n\r\n",
}
# These are unusual, and right.
EVEN_LINES = (
    b"GET /health HTTP/1.1\r\nHost:x\r\nX:\r\nY: \r\nZ:\t a \t\r\n\r\n",
    b"GET /health HTTP/1.1\r\nhOST: x\r\n!#$%&'*+-.^_`|~09: a:b::\r\nX: \xe9\xff\r\nX: again\r\n\r\n",
    b"\r\nGET /health?a=b&c=%20&d HTTP/1.1\r\nHost: x\r\nCookie: a=b; c=\"d\"\r\n\r\n",
    b"GET /health HTTP/1.0\r\n\r\n", b"GET /health HTTP/1.0\r\nConnection: keep-alive\r\nHost: x\r\n\r\n",
    b"GET /%68ealth?%61 HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 6000 + b"\r\n\r\n",
)


def test_lines_that_are_odd():
    with Server("--header-timeout", "500", models=("classifier",)) as server:
        for name, request in ODD_LINES.items():
            answer = exchange(server, request + INNER)
            assert not answer or answer[9:12] == b"400", (name, answer)
            assert b"there is nothing at this path" not in answer, (name, answer)
        for request in EVEN_LINES:
            # In pieces, so that they are not read at once.
            with socket.create_connection(("127.0.0.1", server.port), 5) as peer:
                for at in range(0, len(request), 1 + len(request) // 7):
                    peer.sendall(request[at:at + 1 + len(request) // 7])
                    time.sleep(0.01)
                assert peer.recv(4096)[9:12] == b"200", request
            # And behind another, in the same piece.
            last = HEALTH + request.lstrip()
            with socket.create_connection(("127.0.0.1", server.port), 5) as peer:
                peer.sendall(last)
                got = b""
                while got.count(b"HTTP/1.") < 2:
                    part = peer.recv(4096)
                    assert part, (request, got)
                    got += part
                assert statuses(got)[1] == 200, (request, got)


def test_pipelines():
    """Many requests in one piece have their answers in order, and nothing more."""
    with Server(models=("classifier",)) as server:
        wanted = HEALTH + REQUEST + b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n"
        last = HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        found = statuses(exchange(server, wanted * 20 + last, end=False))
        assert found == [200, 200, 404] * 20 + [200], found
        # Who asks without taking is not read on: what waits is bounded by the socket.
        with socket.create_connection(("127.0.0.1", server.port), 5) as peer:
            peer.setblocking(False)
            sent, silent = 0, 0
            while silent < 10 and sent < 200 << 20:
                try:
                    sent += peer.send(HEALTH * 1000)
                    silent = 0
                except BlockingIOError:
                    silent += 1
                    time.sleep(0.05)
            assert silent == 10, sent
        server.json("GET", "/health")


def test_clients_that_end_their_half():
    """Who sends a whole request and then the end of its side has gone, for all that can be told."""
    with Server(models=("classifier",)) as server:
        for part in (b"", b"G", b"GET /health HTTP/1.1\r\n", REQUEST[:-1], REQUEST[:200]):
            begin = time.monotonic()
            assert exchange(server, part) == b"", part[:20]
            assert time.monotonic() - begin < 2, part[:20]
        assert statuses(exchange(server, HEALTH)) in ([200], [])
        for _ in range(100):
            if count(server) == 0:
                break
            time.sleep(0.05)
        assert count(server) == 0
        server.json("POST", "/infer", PICTURE)


def test_methods_that_are_odd():
    with Server(models=("classifier",)) as server:
        for path in ("/", "/health", "/metrics", "/v2", "/openapi.json", "/v2/models/classifier"):
            answer = exchange(server, f"HEAD {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            head, _, body = answer.partition(b"\r\n\r\n")
            assert head[9:12] == b"200" and not body, answer
            length = int(re.search(rb"(?i)content-length: *(\d+)", head)[1])
            assert length > 0, head
        for line, wanted in ((b"OPTIONS * HTTP/1.1", (400, 404, 405)), (b"OPTIONS /infer HTTP/1.1", (405,)),
                             (b"TRACE /health HTTP/1.1", (405,)), (b"CONNECT x:80 HTTP/1.1", (400, 404, 405)),
                             (b"HEAD /infer HTTP/1.1", (405,)), (b"HEAD /none HTTP/1.1", (404,)),
                             (b"get /health HTTP/1.1", (405,)), (b"A" * 3000 + b" /health HTTP/1.1", (405,)),
                             (b"GET http://other/health HTTP/1.1", (200, 400, 404)),
                             (b"GET health HTTP/1.1", (400, 404)), (b"GET /health HTTP/9.9", (200, 400, 505)),
                             (b"GET /health", (400, 505)), (b"PRI * HTTP/2.0", (400, 404, 405, 505))):
            answer = exchange(server, line + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert not answer or int(answer[9:12]) in wanted, (line[:40], answer)
            assert b"TRACE" not in answer
        server.json("GET", "/health")


# ---- paths and names ----

OUT = ("..", ".", "../classifier", "../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e", "%2e%2e%2fclassifier",
       "%00", "classifier%00", "classifier%2f1", "..%5c..", "%", "%zz", "a" * 3000, "%ff%fe", "-1", "%0d%0aX:%20y")
STARS = ("GET /v2/models/*", "GET /v2/models/*/ready", "GET /v2/models/*/config", "GET /v2/models/*/stats",
         "GET /v2/models/classifier/versions/*", "GET /v2/models/*/versions/1", "GET /v2/models/*/versions/1/ready",
         "GET /v2/models/classifier/versions/*/config", "GET /v2/models/classifier/versions/*/stats",
         "POST /v2/models/*/infer", "POST /v2/models/classifier/versions/*/infer",
         "POST /v2/repository/models/*/load", "POST /v2/repository/models/*/unload", "GET /v1/models/*",
         "GET /v1/models/*/metadata", "GET /v1/models/classifier/versions/*", "POST /v1/models/*:predict",
         "GET /v1/models/classifier/versions/*/metadata", "POST /v1/models/classifier/versions/*:predict",
         "POST /v1/vision/custom/*", "GET /v1/placement?model=*", "POST /infer?model=*", "POST /infer?version=*",
         "POST /detect?model=*", "GET /*", "GET /infer/*")


def test_paths_that_lead_out():
    with Server(models=("classifier",)) as server:
        secret = server.folder.parent / (server.folder.name + "-out")
        secret.mkdir()
        try:
            for star in STARS:
                method, path = star.split()
                for name in (*OUT, f"../{secret.name}"):
                    body = PICTURE if method == "POST" else b""
                    answer = exchange(server, b"%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                                      b"Content-Length: %d\r\n\r\n" % (
                                          method.encode(), path.replace("*", name).encode(), len(body)) + body, end=False)
                    head, _, text = answer.partition(b"\r\n\r\n")
                    assert 400 <= int(head[9:12]) < 500, (star, name, answer)
                    assert b"root:" not in answer and str(server.folder).encode() not in answer, (star, name, answer)
                    assert b"\nX: y" not in head and b"\0" not in answer, (star, name, answer)
            assert [one["name"] for one in server.json("POST", "/v2/repository/index")] == ["classifier"]
            server.json("POST", "/infer", PICTURE)
        finally:
            secret.rmdir()


# ---- pictures ----

def png(w, h, data=b"", kind=2):
    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, kind, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b""))


def jpeg_of(w, h, marker=0xC0):
    """A real JPEG whose frame header says another size, or another kind of coding."""
    jpeg = bytearray(next(MODELS.glob("pictures/*.jpg")).read_bytes())
    at = 2
    while jpeg[at + 1] not in (0xC0, 0xC1, 0xC2):
        at += 2 + struct.unpack(">H", jpeg[at + 2:at + 4])[0]
    jpeg[at + 1] = marker
    jpeg[at + 5:at + 9] = struct.pack(">HH", h, w)
    return bytes(jpeg)


def bmp(w, h, bits=24):
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, w, h, 1, bits, 0, 0, 0, 0, 0, 0)


def webp(w, h):
    lossless = b"VP8L" + struct.pack("<I", 6) + b"\x2f" + struct.pack("<I", (w - 1) | (h - 1) << 14) + b"\0"
    return b"RIFF" + struct.pack("<I", 4 + len(lossless)) + b"WEBP" + lossless


def jpeg_parts():
    """A real JPEG: what is before its frame header, that, what is before its scan, the scan's header, the rest."""
    jpeg = next(MODELS.glob("pictures/*.jpg")).read_bytes()
    at, found = 2, {}
    while 0xDA not in found:
        n = 2 + struct.unpack(">H", jpeg[at + 2:at + 4])[0]
        found[jpeg[at + 1] if jpeg[at + 1] not in (0xC1, 0xC2) else 0xC0] = (at, at + n)
        at += n
    (frame, after), (scan, data) = found[0xC0], found[0xDA]
    return jpeg[:frame], jpeg[frame:after], jpeg[after:scan], jpeg[scan:data], jpeg[data:]


def jpeg_of_four():
    """One whose frame and scan have a fourth component, as CMYK has."""
    before, frame, between, scan, rest = jpeg_parts()
    frame = frame[:2] + struct.pack(">H", 20) + frame[4:9] + b"\4" + frame[10:19] + b"\4\x11\0"
    scan = scan[:2] + struct.pack(">H", 14) + b"\4" + scan[5:11] + b"\4\0" + scan[-3:]
    return before + frame + between + scan + rest


def jpeg_of_scans(n):
    """A progressive one of so many scans of its first coefficients."""
    before, frame, between, scan, rest = jpeg_parts()
    dc = scan[:-3] + b"\0\0\0" + rest[:64].replace(b"\xff", b"\0")
    return before + b"\xff\xc2" + frame[2:] + between + dc * n + b"\xff\xd9"


BOMBS = {
    "png of 65535 x 65535": png(65535, 65535),
    "png of 2^31 - 1 on each side": png(2**31 - 1, 2**31 - 1),
    "png of 2^32 - 1": png(2**32 - 1, 1),
    "png of nothing": png(0, 0),
    "png that is long and thin": png(1, 2**31 - 1),
    "png of 6000 x 6000 in 110 KB": png(6000, 6000, bytes(6000 * 18001)),
    "png whose data end": png(4000, 4000, bytes(1000)),
    "png whose data go on for 100 MB": png(10, 10, bytes(100 << 20)),
    "jpeg of 65535 x 65535": jpeg_of(65535, 65535),
    "jpeg of 65535 x 1": jpeg_of(65535, 1),
    "jpeg of nothing": jpeg_of(0, 0),
    "jpeg that says it is progressive": jpeg_of(4000, 4000, 0xC2),
    "jpeg of four components": jpeg_of_four(),
    "jpeg of a thousand scans": jpeg_of_scans(1000),
    "jpeg that is cut off": next(MODELS.glob("pictures/*.jpg")).read_bytes()[:300],
    "jpeg of one pixel": jpeg_of(1, 1),
    "bmp of 2^31 - 1": bmp(2**31 - 1, 2**31 - 1),
    "bmp of -2^31": bmp(-2**31, -2**31),
    "bmp of 16000 x 16000": bmp(16000, 16000),
    "webp of 16384 x 16384": webp(16384, 16384),
    "gif of 65535 x 65535": b"GIF89a\xff\xff\xff\xff\x80\0\0" + bytes(20),
}
# Of small size, or decoded as far as they go, and what is behind is not looked at.
HARMLESS = ("jpeg of four components", "jpeg of one pixel", "png whose data go on for 100 MB", "png of 6000 x 6000 in 110 KB", "jpeg that says it is progressive")


def test_pictures_that_are_bombs():
    with Server(models=("classifier",)) as server:
        server.json("POST", "/infer", PICTURE)
        peak = 0
        for name, picture in BOMBS.items():
            assert len(picture) < 1 << 20, name
            begin = time.monotonic()
            response, text = server.ask("POST", "/infer", picture)
            seconds = time.monotonic() - begin
            assert response.status in (400, 413, 415) or name in HARMLESS, (name, response.status, text)
            assert seconds < 10, (name, seconds)
            with open(f"/proc/{server.process.pid}/status") as status:
                peak = int(re.search(r"VmHWM:\s+(\d+)", status.read())[1])
            assert peak < 300 << 10, (name, peak)
        print(f"   {len(BOMBS)} bombs, {peak} KiB at the most")
        server.json("POST", "/infer", PICTURE)


# ---- what errors tell ----

def test_errors_tell_nothing_of_the_server():
    """CVE-2025-23319 of Triton: no paths, no addresses of memory, and what a request had only escaped."""
    with Server(models=("classifier",)) as server:
        bad = server.folder / "bad"
        bad.write_bytes(b"no model at all")
        server.add("broken", 1, bad)
        bad.unlink()
        for _ in range(100):
            if any("broken" in line for line in server.log):
                break
            time.sleep(0.05)
        evil = '%3Cscript%3E%22%0D%0AX-Evil:%201'
        tensor = b'{"inputs":[{"name":"<b>\\"\\u0000","datatype":"UINT8","shape":[1],"data":[1]}]}'
        asked = [("POST", "/infer?model=broken", PICTURE), ("POST", "/v2/models/broken/infer", tensor),
                 ("POST", "/v2/repository/models/broken/load", b""), ("POST", "/v2/repository/index", b""),
                 ("GET", "/v2/models/broken", None), ("GET", "/v1/models/broken", None), ("GET", "/v1/stats", None),
                 ("POST", "/v1/models/broken:predict", b"{}"), ("GET", "/v1/placement?model=broken", None),
                 ("POST", f"/infer?model={evil}", PICTURE), ("GET", f"/{evil}", None),
                 ("POST", f"/infer?top={evil}", PICTURE), ("POST", "/infer", b"no picture"),
                 ("POST", "/v2/models/classifier/infer", tensor), ("POST", "/v2/models/classifier/infer", b"{"),
                 ("POST", "/detect", b"\xff\xd8\xff"), ("GET", "/health", None), ("GET", "/readyz", None)]
        for method, path, body in asked:
            response, text = server.ask(method, path, body)
            assert response.getheader("X-Evil") is None, path
            assert not re.search(rb"0x[0-9a-f]{6}|\.c:\d", text), (path, text)
            for secret in (str(server.folder), str(MODELS), "/tmp/", "/home/"):
                assert secret.encode() not in text, (path, text)
            assert b"<script>" not in text or response.getheader("Content-Type") == "application/json", (path, text)
        index = {one["name"]: one["reason"] for one in server.json("POST", "/v2/repository/index")}
        assert index["broken"].startswith("model.tflite: "), index
        assert any(str(server.folder) in line for line in server.log), "whoever runs it is told the path"


# ---- all of them ----

# What is known to have been done to servers of this kind, and the tests where it is done to this one. A name with a
# dot is a test of another file of this folder, one with a slash is a test in C, below tests.
COVERED = {
    "headers without an end; too many; too long": "test_headers_without_end",
    "slow headers, bodies, chunks and reads, 1500 connections": (
        "test_slow_headers", "test_slow_bodies", "test_slow_chunks", "test_slow_reads",
        "test_what_waits_for_a_client_is_bounded"),
    "connections of one address, and a flood of them": ("test_one_address_has_its_share", "test_a_flood_of_connections"),
    "no descriptors left": "test_no_descriptors_left",
    "a million chunks of one byte (CVE-2025-23310, 23311)": (
        "server.test_chunks", "oip.test_a_million_chunks_of_one_byte"),
    "error texts that tell names or paths (CVE-2025-23319, 23320, 23334)": "test_errors_tell_nothing_of_the_server",
    "Content-Length 2^63, bodies over the limit (CVE-2025-33201)": (
        "server.test_a_body_that_is_too_large_is_refused_by_its_headers", "ops.test_limits_that_are_settings"),
    "compressed bombs (CVE-2025-33201)": ("oip.test_compressed_bodies", "ops.test_limits_that_are_settings",
                                          "rpc.test_compression", "rpc.test_compression_by_hand"),
    "shapes and sizes that overflow (CVE-2026-24173)": ("oip.test_shapes_that_overflow", "rpc.test_wrong_messages"),
    "10^5 outputs, names twice (CVE-2026-24146)": ("oip.test_too_many_outputs", "rpc.test_wrong_messages"),
    "model files whose offsets lie (CVE-2026-7482)": ("fuzz/fuzz_model.c", "pull.test_no_model",
                                                      "server.test_models_come_and_go"),
    "paths and digests that lead out (CVE-2026-7020, CVE-2024-37032)": (
        "test_paths_that_lead_out", "pull.test_names", "pull.test_links_are_not_followed", "pull.test_a_wrong_digest",
        "pull.test_hostile_archives", "fuzz/fuzz_catalog.c"),
    "pictures: 1x1, 65535x65535, cut off, CMYK, 1000 scans (CVE-2026-22773)": (
        "test_pictures_that_are_bombs", "ops.test_limits_of_pictures", "fuzz/fuzz_image.c"),
    "HTTP/2 rapid reset and other floods (CVE-2023-44487)": (
        "rpc.test_rapid_reset", "rpc.test_floods", "rpc.test_refusals_that_are_not_read",
        "rpc.test_cancelled_work_is_bounded", "rpc.test_how_many_calls"),
    "gRPC's slow ones: handshakes, messages, answers": ("rpc.test_tls", "rpc.test_messages_that_never_come",
                                                        "rpc.test_answers_that_are_not_taken"),
    "requests that can be read in two ways": ("test_requests_that_can_be_read_in_two_ways", "test_lines_that_are_odd"),
    "pipelines, half-closed connections, odd methods": (
        "test_pipelines", "test_clients_that_end_their_half", "test_methods_that_are_odd"),
    "five times too much; models replaced meanwhile": (
        "overload.test_five_times_too_much", "overload.test_models_replaced_under_load"),
    "clients that are killed in the middle": "server.test_who_leaves_in_the_middle_leaves_room",
    "listeners to events that do not read": "events.test_a_slow_reader_loses_its_place",
    "strangers on zmq": ("frigate.test_strangers", "frigate.test_who_takes_too_long",
                         "frigate.test_everything_is_answered", "fuzz/fuzz_zmtp.c"),
    "kill -9 of the server, of a pull": ("ops.test_killed_at_any_moment", "pull.test_killed_at_any_moment"),
    "a full disk": ("pull.test_a_full_disk", "pull.test_a_file_may_not_grow"),
    "a delegate that dies at work": ("ops.test_a_delegate_that_dies_at_work", "ops.test_a_delegate_that_forgets_an_output"),
}


def test_the_list_is_true():
    here = pathlib.Path(__file__).parent
    for attack, tests in COVERED.items():
        for test in (tests,) if isinstance(tests, str) else tests:
            if "/" in test:
                assert (here.parent / test).exists(), (attack, test)
            elif "." in test:
                file, name = test.split(".")
                assert f"\ndef {name}(" in (here / f"{file}.py").read_text(), (attack, test)
            else:
                assert test in globals(), (attack, test)


# ---- no descriptors ----

def cpu_seconds(server):
    with open(f"/proc/{server.process.pid}/stat") as stat:
        part = stat.read().rsplit(")", 1)[1].split()
    return (int(part[11]) + int(part[12])) / os.sysconf("SC_CLK_TCK")


def test_no_descriptors_left():
    """Who comes then waits, at no cost, and has its answer when there are some again: HTTP, gRPC, zmq."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        grpc = free.getsockname()[1]
    options = ["--grpc-port", str(grpc), "--zmq", "tcp://127.0.0.1:*", "--max-connections", "1000",
               "--max-connections-per-ip", "1000"]
    with Server(*options, models=("classifier",)) as server:
        zmq = int(re.search(r"zmq at tcp://127\.0\.0\.1:(\d+)", "".join(server.log))[1])
        ports = {"HTTP": server.port, "gRPC": grpc, "zmq": zmq}
        for name, port in ports.items():
            n_open = len(os.listdir(f"/proc/{server.process.pid}/fd"))
            limit = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (n_open + 3, limit[1]))
            peers = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(20)]
            time.sleep(0.3)
            before = cpu_seconds(server)
            time.sleep(1)
            used = cpu_seconds(server) - before
            late = socket.create_connection(("127.0.0.1", server.port), 20)
            late.sendall(HEALTH)
            resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, limit)
            assert late.recv(4096)[9:12] == b"200", name
            late.close()
            for peer in peers:
                peer.close()
            print(f"   {name}: {used:.2f} s of CPU in a second without descriptors")
            assert used < 0.3, (name, used)
        server.json("POST", "/infer", PICTURE)


if __name__ == "__main__":
    sys.exit(main(globals()))
