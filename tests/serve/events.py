#!/usr/bin/env python3
"""GET /v1/events: what is found reaches those who listen, and nobody who is slow holds it up.

usage: events.py SCREE MODELS-FOLDER [TEST...]
"""
import json
import socket
import sys
import threading
import time
import urllib.parse

from server import MODELS, Server, main

SCENE = next(MODELS.glob("pictures/scene_*")).read_bytes()
DETECT = "/detect?model=detector"


class Listener:
    """A client of server-sent events; of a narrow one the kernel keeps little unread, on both sides: buffers are
    some segments long, which are 64 KiB between processes of one machine."""

    def __init__(self, server, query="", narrow=False, **headers):
        self.socket = socket.socket()
        self.socket.settimeout(20)
        if narrow:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        self.socket.connect(("127.0.0.1", server.port))
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        self.socket.sendall(f"GET /v1/events{query} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())
        self.raw, self.text = b"", ""
        while b"\r\n\r\n" not in self.raw:
            self.read()
        head, _, self.raw = self.raw.partition(b"\r\n\r\n")
        self.head = head.decode().lower()

    def read(self):
        part = self.socket.recv(65536)
        if not part:
            raise ConnectionError("closed")
        self.raw += part

    def read_chunk(self):
        """Reads one chunk of the transfer coding; False at its end."""
        while b"\r\n" not in self.raw:
            self.read()
        size, _, rest = self.raw.partition(b"\r\n")
        n = int(size, 16)
        while len(rest) < n + 2:
            self.raw = b""
            part = self.socket.recv(65536)
            if not part:
                raise ConnectionError("closed")
            rest += part
        self.text += rest[:n].decode()
        self.raw = rest[n + 2:]
        return n > 0

    def next(self):
        """The next event: id, kind, data."""
        while True:
            block, end, rest = self.text.partition("\n\n")
            if not end:
                assert self.read_chunk(), "the stream ended"
                continue
            self.text = rest
            fields = dict(line.split(": ", 1) for line in block.split("\n"))
            if "data" in fields:
                return int(fields["id"]), fields["event"], json.loads(fields["data"])


def test_events():
    with Server() as server:
        listener = Listener(server)
        assert " 200 " in listener.head.split("\r\n")[0]
        assert "content-type: text/event-stream" in listener.head
        found = server.json("POST", DETECT, SCENE)["detections"]
        assert found
        number, kind, data = listener.next()
        assert (number, kind, data["model"], data["version"]) == (1, "detection", "detector", "1")
        assert data["detections"][0]["class"] == found[0]["class"]
        for ours, theirs in zip(data["detections"][0]["bbox"], found[0]["bbox"]):
            assert abs(ours - theirs) < 0.01
        assert all(thing["confidence"] >= 0.4 for thing in data["detections"])
        assert data["device"] == "cpu" and abs(data["time"] - time.time()) < 60
        server.json("POST", "/infer?model=classifier", SCENE)
        number, kind, data = listener.next()
        assert (number, kind) == (2, "classification") and data["classes"][0]["class"], data


def test_filters():
    with Server() as server:
        label = server.json("POST", DETECT, SCENE)["detections"][0]["class"]
        by_model = Listener(server, "?model=detector")
        by_label = Listener(server, f"?model=detector&label=nothing,{label}&threshold=0.01")
        nothing = Listener(server, "?label=nothing")
        server.json("POST", "/infer?model=classifier", b"P6 2 2 255\n" + b"0" * 12)
        server.json("POST", DETECT, SCENE)
        assert by_model.next()[2]["model"] == "detector"
        assert {thing["class"] for thing in by_label.next()[2]["detections"]} == {label}
        nothing.socket.settimeout(0.5)
        try:
            nothing.next()
            raise AssertionError("an event that was not asked for")
        except socket.timeout:
            pass
        for query in ("?threshold=2", "?threshold=x"):
            server.json("GET", "/v1/events" + query, status=400)


def test_coming_again():
    with Server() as server:
        first = Listener(server)
        for _ in range(3):
            server.json("POST", DETECT, SCENE)
        numbers = [first.next()[0] for _ in range(3)]
        first.socket.close()
        again = Listener(server, Last_Event_ID=numbers[0])
        assert [again.next()[0] for _ in range(2)] == numbers[1:]
        # One of another time, or nonsense, begins with what is to come.
        for last in ("999999", "x", "-1"):
            other = Listener(server, Last_Event_ID=last)
            server.json("POST", DETECT, SCENE)
            assert other.next()[0] == again.next()[0]


def test_a_slow_reader_loses_its_place():
    with Server("--max-connections-per-ip", "64", "--send-timeout", "1000") as server:
        slow = Listener(server, narrow=True)
        fast, seen = Listener(server), []
        done = threading.Event()

        def listen():
            try:
                while not done.is_set():
                    seen.append(fast.next()[0])
            except (AssertionError, ConnectionError):
                assert done.is_set()

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        asked = 0
        begin = time.monotonic()
        # The kernel's buffers take some hundred events before the server has to wait, which it does for a second.
        while time.monotonic() - begin < 60:
            for _ in range(50):
                server.json("POST", DETECT, SCENE)
                asked += 1
            _, text = server.ask("GET", "/metrics")
            if b"\nnpu_event_listeners 1\n" in text:
                break
        else:
            raise AssertionError("a reader that reads nothing was kept")
        for _ in range(100):
            if len(seen) == asked:
                break
            time.sleep(0.05)
        done.set()
        slow.socket.close()
        assert seen == list(range(1, asked + 1)), (len(seen), asked)


def test_many_listeners_come_and_go():
    with Server("--max-connections-per-ip", "200") as server:
        listeners = [Listener(server) for _ in range(64)]
        server.json("GET", "/v1/events", status=503)
        server.json("POST", DETECT, SCENE)
        assert {listener.next()[0] for listener in listeners} == {1}
        for listener in listeners[1:]:
            listener.socket.close()
        for _ in range(100):
            _, text = server.ask("GET", "/metrics")
            if b"\nnpu_event_listeners 1\n" in text:
                break
            time.sleep(0.05)
        else:
            raise AssertionError("listeners that have gone are still counted")
        server.json("POST", DETECT, SCENE)
        assert listeners[0].next()[0] == 2
        # The server stops with a listener that is still there.


def test_a_token_is_asked_for():
    with Server() as server:
        path = server.folder.parent / (server.folder.name + ".token")
        path.write_text("a-long-secret\n")
        with Server("--token-file", str(path)) as closed:
            closed.json("GET", "/v1/events", status=401)
            listener = Listener(closed, Authorization="Bearer a-long-secret")
            assert " 200 " in listener.head
        path.unlink()


def test_long_labels():
    """An event has a part of them; who asks for one by all of it gets it."""
    with Server(models=()) as server:
        labels = server.folder / "labels"
        for name in ("a" * 60, "\u20ac" * 20):
            labels.write_text("\n".join([name] * 10))
            server.add(str(len(name)), 1, MODELS / "shapes_detector.tflite", labels)
            path = f"/detect?model={len(name)}"
            server.reload(lambda: server.ask("POST", path, SCENE)[0].status == 200)
            quoted = urllib.parse.quote(name)
            none, some = (Listener(server, f"?label={asked}") for asked in ("b," + quoted[:9], "b," + quoted))
            server.json("POST", path, SCENE)
            some.socket.settimeout(10)  # less than the time between signs of life
            assert all(name.startswith(found["class"]) for found in some.next()[2]["detections"])
            none.socket.settimeout(0.5)
            try:
                raise AssertionError(none.next())
            except TimeoutError:
                pass


def test_who_asks_for_the_headers_alone():
    """Gets no byte of a body, in front of the next answer."""
    with Server() as server, socket.create_connection(("127.0.0.1", server.port), 20) as peer:
        peer.sendall(b"HEAD /v1/events HTTP/1.1\r\nHost: x\r\n\r\n"
                     b"HEAD /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        text = b"".join(iter(lambda: peer.recv(65536), b""))
        first, second, rest = text.split(b"\r\n\r\n")
        assert first.startswith(b"HTTP/1.1 200") and b"text/event-stream" in first, text
        assert second.startswith(b"HTTP/1.1 200") and not rest, text


if __name__ == "__main__":
    sys.exit(main(globals()))
