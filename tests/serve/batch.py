#!/usr/bin/env python3
"""Rows of several requests in one run: models with a batch in the file, and models that take one.

usage: batch.py SCREE MODELS-FOLDER [TEST...]      $DELEGATE: the test delegate
"""
import json
import os
import pathlib
import random
import re
import socket
import struct
import sys
import tempfile
import threading
import time

from server import MODELS, PICTURE, Server, main

SIDE = 96 * 96 * 3
ROWS = [random.Random(seed).randbytes(SIDE) for seed in range(24)]
# Those who come within 100 ms share a run.
PATIENT = ("--batch", "8", "--batch-delay", "100000", "--instances", "1")


def of_four(folder):
    """The classifier with four rows in the file: its input and its output, from which the shapes between follow."""
    file = (MODELS / "shapes_classifier.tflite").read_bytes()
    for shape in ((1, 96, 96, 3), (1, 10)):
        words = struct.pack(f"<{len(shape) + 1}i", len(shape), *shape)
        file = file.replace(words, words[:4] + struct.pack("<i", 4) + words[8:])
    path = pathlib.Path(folder) / "four.tflite"
    path.write_bytes(file)
    return path


def infer(server, rows, name="classifier", status=200, **parameters):
    """The scores of each row."""
    text = json.dumps({"inputs": [{"name": "image", "datatype": "UINT8", "shape": [len(rows), 96, 96, 3],
                                   "parameters": {"binary_data_size": sum(map(len, rows))}}],
                       "outputs": [{"name": "scores", "parameters": {"binary_data": True}}],
                       "parameters": parameters}).encode()
    response, body = server.ask("POST", f"/v2/models/{name}/infer", text + b"".join(rows),
                                {"Inference-Header-Content-Length": str(len(text))})
    assert response.status == status, (response.status, body)
    if status != 200:
        return json.loads(body)["error"]
    n_json = int(response.getheader("Inference-Header-Content-Length"))
    output, = json.loads(body[:n_json])["outputs"]
    assert output["shape"] == [len(rows), 10], output
    return [body[n_json + 10 * i:n_json + 10 * (i + 1)] for i in range(len(rows))]


def alone():
    """What each row is by itself, without batches."""
    with Server("--batch", "1") as server:
        return [infer(server, [row])[0] for row in ROWS]


def at_once(calls):
    """Makes calls on threads of their own; what they return. The first error is everybody's."""
    answers, errors = [None] * len(calls), []

    def make(index):
        try:
            answers[index] = calls[index]()
        except Exception as error:  # told by the main thread
            errors.append(error)

    threads = [threading.Thread(target=make, args=(i,)) for i in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return answers


def runs(server, name="classifier"):
    """(rows, runs) so far, which metrics, statistics and the page's figures agree on."""
    text = server.ask("GET", "/metrics")[1].decode()
    told = tuple(int(float(match[1])) if (match := re.search(
        r'^npu_batch_rows_%s\{model="%s"\} (\S+)$' % (what, name), text, re.M)) else 0
        for what in ("sum", "count"))
    stats, = server.json("GET", f"/v2/models/{name}/stats")["model_stats"]
    assert (stats["inference_count"], stats["execution_count"]) == told, (stats, told)
    sizes = [(each["batch_size"], each["compute_infer"]["count"]) for each in stats["batch_stats"]]
    assert (sum(size * n for size, n in sizes), sum(n for _, n in sizes)) == told, (sizes, told)
    model, = [each for each in server.json("GET", "/v1/stats")["models"] if each["name"] == name]
    assert (model["counts"]["rows"], model["counts"]["runs"]) == told, (model, told)
    return told


def test_rows_of_the_file():
    want = alone()
    with tempfile.TemporaryDirectory() as folder, Server("--instances", "1", models=("detector",)) as server:
        server.add("classifier", 1)
        server.add("four", 1, of_four(folder))
        server.reload(lambda: server.ask("GET", "/v2/models/four")[0].status == 200)
        about = server.json("GET", "/v2/models/four")
        assert about["inputs"][0]["shape"] == [-1, 96, 96, 3] and about["outputs"][0]["shape"] == [-1, 10]
        config = server.json("GET", "/v2/models/four/config")
        assert config["max_batch_size"] == 4 and config["input"][0]["dims"] == [96, 96, 3], config
        assert config["dynamic_batching"] == {"preferred_batch_size": [4],
                                              "max_queue_delay_microseconds": 0}, config
        for n in (1, 2, 3, 4):
            assert infer(server, ROWS[:n], "four") == want[:n]
        assert runs(server, "four") == (10, 4)
        # More rows than one run has.
        assert infer(server, ROWS[:6], "four") == want[:6]
        assert runs(server, "four") == (16, 6)
        response, body = server.ask("POST", "/v2/models/four/infer", ROWS[1] + ROWS[0],
                                    {"Inference-Header-Content-Length": "0"})
        assert response.status == 200 and body.endswith(want[1] + want[0]), body[-40:]
        infer(server, [], "four", 400)
        infer(server, [ROWS[0][1:]], "four", 400)
        infer(server, ROWS[:1] * 65, "four", 400)
        # Pictures, too: the same as of the model with one row.
        one, four = (server.json("POST", f"/infer?model={name}", PICTURE) for name in ("classifier", "four"))
        assert one["predictions"] == four["predictions"]
        rows = server.json("POST", "/v1/models/four:predict", json.dumps(
            {"instances": [list_of(row) for row in ROWS[:3]]}))["predictions"]
        assert [bytes(row) for row in rows] == want[:3]


def list_of(row):
    """A row as numbers of a picture."""
    return [[list(row[3 * (96 * y + x):3 * (96 * y + x) + 3]) for x in range(96)] for y in range(96)]


def test_the_whole_file_at_once():
    with tempfile.TemporaryDirectory() as folder:
        with Server("--batch", "1", models=()) as server:
            server.add("four", 1, of_four(folder))
            server.reload(lambda: server.ask("GET", "/v2/models/four")[0].status == 200)
            assert server.json("GET", "/v2/models/four")["inputs"][0]["shape"] == [4, 96, 96, 3]
            assert "dynamic_batching" not in server.json("GET", "/v2/models/four/config")
            assert len(infer(server, ROWS[:4], "four")) == 4
            infer(server, ROWS[:3], "four", 400)


def test_requests_share_runs():
    want = alone()
    with Server(*PATIENT, "--max-connections-per-ip", "64") as server:
        assert server.json("GET", "/v2/models/classifier/config")["max_batch_size"] == 8
        for _ in range(3):
            got = at_once([lambda i=i: infer(server, [ROWS[i]]) for i in range(24)])
            assert got == [[scores] for scores in want], "rows of others"
        n_rows, n_runs = runs(server)
        assert n_rows == 72 and n_runs < 72, (n_rows, n_runs)
        # Requests of several rows, and more than one run has.
        pieces = [(0, 3), (3, 5), (5, 10), (10, 11), (11, 23)]
        got = at_once([lambda a=a, b=b: infer(server, ROWS[a:b]) for a, b in pieces])
        assert got == [want[a:b] for a, b in pieces], "rows of others"
        # Pictures and tensors.
        best = server.json("POST", "/infer", PICTURE)["predictions"]
        got = at_once([lambda: server.json("POST", "/infer", PICTURE)["predictions"],
                       lambda: infer(server, [ROWS[7]])[0]] * 6)
        assert got == [best, want[7]] * 6


def test_without_delay_and_under_load():
    want = alone()
    with Server("--batch", "4", "--instances", "2", "--max-connections-per-ip", "64") as server:
        def many(seed):
            order = random.Random(seed)
            for _ in range(30):
                i = order.randrange(len(ROWS))
                if infer(server, [ROWS[i]], priority=order.randrange(4)) != [want[i]]:
                    return False
            return True

        assert all(at_once([lambda seed=seed: many(seed) for seed in range(12)]))
        n_rows, n_runs = runs(server)
        assert n_rows == 360 and n_runs <= 360, (n_rows, n_runs)


def test_one_waits_and_is_not_the_others_fault():
    with Server(*PATIENT) as server:
        def late():
            time.sleep(0.03)
            return infer(server, [ROWS[1]], status=504, timeout=20000)

        first, error = at_once([lambda: infer(server, [ROWS[0]]), late])
        assert "deadline" in error and len(first) == 1, error
        assert runs(server) == (1, 1)

        def gone():
            time.sleep(0.03)
            text = (b"POST /v2/models/classifier/infer HTTP/1.1\r\nHost: x\r\n"
                    b"Inference-Header-Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % SIDE)
            with socket.create_connection(("127.0.0.1", server.port)) as peer:
                peer.sendall(text + ROWS[1])
                time.sleep(0.02)

        again, _ = at_once([lambda: infer(server, [ROWS[0]]), gone])
        assert again == first
        assert runs(server) == (2, 2)


def test_models_that_have_no_batch():
    with Server("--batch", "4") as server:
        assert any("do not share runs" in line for line in server.log), server.log
        assert server.json("GET", "/v2/models/detector")["inputs"][0]["shape"] == [1, 128, 128, 3]
        assert server.json("POST", "/detect?model=detector", PICTURE)["detections"]
        assert runs(server, "detector") == (1, 1)
        model, = [each for each in server.json("GET", "/v1/stats")["models"] if each["name"] == "detector"]
        assert model["counts"]["batch"] == 0


def delegated(*options):
    """Options of a server whose delegate is right for a while, in each process of it."""
    return ("--instances", "1", "--max-connections-per-ip", "64", "--deadline", "120000",
            "--delegate", os.environ["DELEGATE"],
            *(word for option in options for word in ("--delegate-option", option)))


def test_a_delegate_that_dies_while_many_wait():
    """It computes a picture at a time, so nobody shares a run; who is in the run that it dies in is answered, too."""
    cpu = alone()
    with Server("--batch", "4", *delegated("fault=none")) as server:
        assert any("the NPU computes a row at a time" in line for line in server.log), server.log
        npu = [infer(server, [row])[0] for row in ROWS]
    for fault in ("crash_invoke", "wild"):
        with Server("--batch", "4", *delegated("fault=" + fault, "after=20")) as server:
            for _ in range(2):
                got = at_once([lambda i=i: infer(server, [ROWS[i]]) for i in range(24)])
                # The delegate, which rounds otherwise, does all convolutions or none.
                assert all(scores in (cpu[i], npu[i]) for i, (scores,) in enumerate(got)), got
            assert runs(server) == (48, 48)
            died = re.search(r'^npu_device_errors_total\{kind="died"\} (\S+)$',
                             server.ask("GET", "/metrics")[1].decode(), re.M)
            assert fault == "wild" or float(died[1]) >= 1, died


def test_rows_of_the_file_beside_a_delegate():
    """Four rows of the file are not offered to it, and shared as ever; other models are its own."""
    want = alone()
    with tempfile.TemporaryDirectory() as folder, \
            Server(*PATIENT, *delegated("fault=crash_invoke", "after=20")[2:]) as server:
        server.add("four", 1, of_four(folder))
        server.reload(lambda: server.ask("GET", "/v2/models/four")[0].status == 200)
        devices = {each["name"]: each["device"] for each in server.json("GET", "/v1/stats")["models"]}
        assert (devices["four"], devices["classifier"]) == ("cpu", "mixed"), devices
        for _ in range(3):
            got = at_once([lambda i=i: infer(server, [ROWS[i]], ("four", "classifier")[i % 2]) for i in range(24)])
            assert got[::2] == [[scores] for scores in want[::2]], "rows of others"
            assert all(len(answer) == 1 for answer in got)
        n_rows, n_runs = runs(server, "four")
        assert n_rows == 36 and n_runs < 36, (n_rows, n_runs)


if __name__ == "__main__":
    main(globals())
