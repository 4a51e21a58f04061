#!/usr/bin/env python3
"""The Open Inference Protocol over REST, and those who mean harm with it.

usage: oip.py SCREE MODELS-FOLDER [TEST...]
"""
import base64
import gzip
import json
import math
import pathlib
import re
import socket
import struct
import sys
import tempfile
import threading
import zlib

from server import MODELS, PICTURE, Server, main

SIDE = 96
PIXELS = bytes(range(256)) * (SIDE * SIDE * 3 // 256)
SHAPE = [1, SIDE, SIDE, 3]
INFER = "/v2/models/classifier/infer"


def tensor(**more):
    return {"name": "image", "shape": SHAPE, "datatype": "UINT8", **more}


def infer(server, inputs, status=200, path=INFER, **more):
    return server.json("POST", path, json.dumps({"inputs": inputs, **more}), status=status)


def binary(server, message, blobs, status=200, path=INFER, length=None, **headers):
    """A request of the binary extension, and its answer taken apart: (JSON, blobs)."""
    text = message if isinstance(message, bytes) else json.dumps(message).encode()
    headers["Inference-Header-Content-Length"] = str(len(text) if length is None else length)
    response, body = server.ask("POST", path, text + blobs, headers)
    assert response.status == status, (response.status, body)
    n = response.getheader("Inference-Header-Content-Length")
    if n is None:
        return json.loads(body), b""
    assert response.getheader("Content-Type") == "application/octet-stream"
    return json.loads(body[:int(n)]), body[int(n):]


def nested(values, shape):
    if len(shape) == 1:
        return list(values)
    step = len(values) // shape[0]
    return [nested(values[i * step:(i + 1) * step], shape[1:]) for i in range(shape[0])]


STAGES = {stage + "_us" for stage in ("queue", "decode", "preprocess", "compute", "postprocess")}


def test_health_and_metadata():
    with Server() as server:
        assert server.json("GET", "/v2/health/live") == {"live": True}
        assert server.json("GET", "/v2/health/ready") == {"ready": True}
        about = server.json("GET", "/v2")
        assert about["name"] == "scree" and "binary_tensor_data" in about["extensions"]
        for path in ("/v2/models/classifier", "/v2/models/classifier/versions/1"):
            assert server.json("GET", path + "/ready") == {"name": "classifier", "ready": True}
            model = server.json("GET", path)
            assert model["versions"] == ["1"] and model["platform"] == "litert_tflite"
            assert model["inputs"] == [{"name": "image", "datatype": "UINT8", "shape": SHAPE}]
            assert model["outputs"] == [{"name": "scores", "datatype": "UINT8", "shape": [1, 10]}]
            config = server.json("GET", path + "/config")
            assert config["max_batch_size"] == 1 and config["input"][0]["dims"] == SHAPE[1:]
            assert config["input"][0]["format"] == "FORMAT_NHWC"
        for path in ("/v2/models/none", "/v2/models/classifier/versions/7",
                     "/v2/models/none/ready", "/v2/models/none/config", "/v2/models/none/stats",
                     "/v2/models/../classifier", "/v2/models/%2e%2e"):
            server.json("GET", path, status=404)
        server.json("GET", INFER, status=405)
        server.json("POST", "/v2/models/none/infer", b"{}", status=404)


def test_tensors_in_json_and_binary_are_the_same():
    with Server() as server:
        flat = infer(server, [tensor(data=list(PIXELS))], id="7")
        assert flat["model_name"] == "classifier" and flat["model_version"] == "1"
        assert flat["id"] == "7"
        told = flat["parameters"]
        assert told.pop("device") == "cpu" and set(told) == STAGES, told
        assert all(isinstance(us, int) and 0 <= us < 1e7 for us in told.values()), told
        assert told["compute_us"] > 0, told
        output, = flat["outputs"]
        assert (output["name"], output["datatype"], output["shape"]) == ("scores", "UINT8", [1, 10])
        scores = bytes(output["data"])
        assert len(scores) == 10 and len(set(scores)) > 1
        deep = infer(server, [tensor(data=nested(PIXELS, SHAPE))],
                     path="/v2/models/classifier/versions/1/infer")
        assert "id" not in deep and deep["outputs"] == flat["outputs"]

        size = {"binary_data_size": len(PIXELS)}
        message = {"inputs": [tensor(parameters=size)]}
        assert binary(server, message, PIXELS)[0]["outputs"] == flat["outputs"]
        message["parameters"] = {"binary_data_output": True}
        answer, blob = binary(server, message, PIXELS)
        assert blob == scores
        assert answer["outputs"][0]["parameters"] == {"binary_data_size": 10}
        message["outputs"] = [{"name": "scores", "parameters": {"binary_data": False}}]
        assert binary(server, message, PIXELS)[0]["outputs"] == flat["outputs"]
        message = {"inputs": [tensor(data=list(PIXELS))],
                   "outputs": [{"name": "scores", "parameters": {"binary_data": True}}]}
        assert binary(server, message, b"")[1] == scores
        # Nothing but the tensor.
        answer, blob = binary(server, b"", PIXELS)
        assert blob == scores and answer["parameters"]["device"] == "cpu"


def test_several_outputs():
    with Server() as server:
        path = "/v2/models/detector/infer"
        pixels = [{"name": "image", "shape": [1, 128, 128, 3], "datatype": "UINT8",
                   "data": [128] * (128 * 128 * 3)}]
        every = infer(server, pixels, path=path)["outputs"]
        assert [output["name"] for output in every] == [
            "detection_boxes", "detection_classes", "detection_scores", "num_detections"]
        some = infer(server, pixels, path=path, outputs=[
            {"name": "num_detections"}, {"name": "detection_boxes",
                                         "parameters": {"binary_data": False}}])["outputs"]
        assert some == [every[3], every[0]]
        answer, blob = binary(server, {"inputs": pixels, "outputs": [
            {"name": "detection_boxes", "parameters": {"binary_data": True}},
            {"name": "num_detections"},
            {"name": "detection_scores", "parameters": {"binary_data": True}}]}, b"", path=path)
        boxes = [number for row in [every[0]["data"]] for number in row]
        for got, want in zip(struct.unpack("<50f", blob), boxes + every[2]["data"]):
            assert abs(got - want) < 1e-6 * max(1, abs(want))
        assert answer["outputs"][1] == every[3]


def test_pictures_as_bytes():
    with Server() as server:
        best = server.json("POST", "/infer?top=1", PICTURE)["predictions"][0]
        element = struct.pack("<I", len(PICTURE)) + PICTURE
        message = {"inputs": [tensor(datatype="BYTES", shape=[1],
                                     parameters={"binary_data_size": len(element)})]}
        scores = binary(server, message, element)[0]["outputs"][0]["data"]
        assert scores.index(max(scores)) == best["class_id"] and max(scores) == best["score"]
        text = base64.b64encode(PICTURE).decode()
        one = infer(server, [tensor(datatype="BYTES", shape=[1], data=[text])])
        assert one["outputs"][0]["data"] == scores
        three = infer(server, [tensor(datatype="BYTES", shape=[3], data=[text] * 3)])
        assert three["outputs"][0]["shape"] == [3, 10]
        assert three["outputs"][0]["data"] == scores * 3
        classes = infer(server, [tensor(datatype="BYTES", shape=[2, 1], data=[text] * 2)], outputs=[
            {"name": "scores", "parameters": {"classification": 2}}])["outputs"][0]
        assert classes["datatype"] == "BYTES" and classes["shape"] == [2, 2]
        score, index, label = classes["data"][0].split(":")
        assert (float(score), int(index), label) == (
            best["score"], best["class_id"], best["label"])
        for data, shape in (([text], [2]), ([text] * 2, [1]), (["*"], [1]), ([7], [1]),
                            ([text[:200]], [1]), ([""], [1]), ([text] * 65, [65]), ([], [0]),
                            ([text] * 4, [2, 2])):
            infer(server, [tensor(datatype="BYTES", shape=shape, data=data)], 400)
        for blob in (element[:-1], element + b"x", b"\xff\xff\xff\xff" + PICTURE, b"\1\0\0", b""):
            message["inputs"][0]["parameters"]["binary_data_size"] = len(blob)
            binary(server, message, blob, 400)


def test_a_deadline_of_the_model():
    """64 pictures take longer than the millisecond that requests have which do not say, but one model has a minute."""
    with tempfile.NamedTemporaryFile("w", suffix=".ini") as config:
        config.write("[model classifier]\ndeadline = 60000\n")
        config.flush()
        with Server("--config", config.name, "--deadline", "1") as server:
            text = base64.b64encode(PICTURE).decode()
            rows = {"datatype": "BYTES", "shape": [64], "data": [text] * 64}
            assert infer(server, [tensor(**rows)])["outputs"][0]["shape"] == [64, 10]
            other = server.json("GET", "/v2/models/detector")["inputs"][0]["name"]
            infer(server, [{"name": other, **rows}], 504, "/v2/models/detector/infer")
            infer(server, [{"name": other, **rows}], path="/v2/models/detector/infer",
                  parameters={"timeout": 60000000})


def test_a_shape_of_more_elements_than_data():
    """What no data could be as many as: the elements that there are have no room."""
    with Server() as server:
        text = "QUJD" * (1 << 19)
        for n in 10 * len(text), 1 << 40, len(text), 2:
            infer(server, [tensor(datatype="BYTES", shape=[n], data=[text])], 400)
        assert server.process.poll() is None


def test_requests_that_are_wrong():
    with Server() as server:
        good = [tensor(data=[0] * len(PIXELS))]
        infer(server, good)
        for body in (b"", b"[]", b"{", b"{}", b"null", b"7", b'{"inputs":7}', b'{"inputs":[7]}',
                     b'{"inputs":[],"inputs":[]}', b'{"inputs":[]} x', b"\xff" * 100,
                     b'{"inputs":[{}]}', b'{"inputs":[{"name":"image"}]}',
                     b"[" * 100000, b'{"inputs":' * 50000, b'{"id":"' + b"a" * 100000):
            server.json("POST", INFER, body, status=400)
        for change in ({"name": "other"}, {"name": 7}, {"name": "a\0b"}, {"shape": 7},
                       {"shape": [SIDE * SIDE * 3]}, {"shape": SHAPE[:3]}, {"shape": [1.5]},
                       {"shape": ["1"]}, {"shape": [2] + SHAPE[1:]}, {"datatype": "INT8"},
                       {"datatype": "FP32"}, {"datatype": "uint8"}, {"datatype": 7},
                       {"datatype": "FP16"}, {"data": 7}, {"data": "x"}, {"data": {}},
                       {"data": good[0]["data"][1:]}, {"data": good[0]["data"] + [0]},
                       {"data": nested(good[0]["data"], [1, SIDE, 3, SIDE])},
                       {"data": [good[0]["data"]]}, {"data": [256] + good[0]["data"][1:]},
                       {"data": [-1] + good[0]["data"][1:]}, {"data": [0.5] + good[0]["data"][1:]},
                       {"data": [1e300] + good[0]["data"][1:]},
                       {"data": [None] + good[0]["data"][1:]},
                       {"data": [float("nan")] + good[0]["data"][1:]},
                       {"parameters": {"binary_data_size": 0}}, {"parameters": 7}):
            infer(server, [{**good[0], **change}], 400)
        infer(server, good * 2, 400)
        infer(server, [], 400)
        for outputs in ([{"name": "none"}], [{"name": "scores"}] * 2, [{}], 7, [7],
                        [{"name": "scores", "parameters": {"classification": -1}}],
                        [{"name": "scores", "parameters": {"classification": "x"}}],
                        [{"name": "scores", "parameters": {"binary_data": 1}}]):
            infer(server, good, 400, outputs=outputs)
        for parameters in (7, {"priority": -1}, {"timeout": "x"}, {"binary_data_output": 7}):
            infer(server, good, 400, parameters=parameters)
        infer(server, good, parameters={"priority": 1, "timeout": 10000000, "sequence_id": 0,
                                        "headers": "x"})
        infer(server, good, 504, parameters={"timeout": 1})


def test_shapes_that_overflow():
    """CVE-2026-24173 of Triton: products of dimensions, and sizes of binary data."""
    with Server() as server:
        for shape in ([1 << 32, 1 << 32], [1 << 62, 4, 1], [-1], [1, -96, -96, 3], [1] * 9,
                      [1] * 17, [1 << 63], [1 << 64], [0], [], [1 << 40, 0], [1 << 39]):
            infer(server, [tensor(shape=shape, data=[0])], 400)
            message = {"inputs": [{**tensor(), "shape": shape,
                                   "parameters": {"binary_data_size": 1}}]}
            binary(server, message, b"x", 400)
        for size in (-1, 1 << 64, (1 << 64) - 1, 1 << 63, len(PIXELS) + 1, len(PIXELS) - 1, "1",
                     1.5, None):
            binary(server, {"inputs": [tensor(parameters={"binary_data_size": size})]}, PIXELS, 400)
        message = {"inputs": [tensor(parameters={"binary_data_size": len(PIXELS)})]}
        for length in (-1, 1 << 64, 1 << 63, 10 ** 30, "x", "", "+5", " ", len(PIXELS) * 2):
            binary(server, message, PIXELS, 400, length=length)
        binary(server, message, PIXELS + b"x", 400)
        binary(server, b"", PIXELS[1:], 400)
        server.json("GET", "/v2/health/live")


def test_too_many_outputs():
    """CVE-2026-24146 of Triton: a hundred thousand outputs."""
    with Server() as server:
        good = [tensor(data=[0] * len(PIXELS))]
        infer(server, good, 400, outputs=[{"name": "scores"}] * 100000)
        infer(server, good, 400, outputs=[{"name": f"o{i}"} for i in range(100000)])
        infer(server, good * 17, 400)
        infer(server, good, 400, outputs=[{"name": "scores"}] * 2)
        # Of their names errors have a part, which ends with a character.
        for name in ("\u00e9" * 40, "x" + "\u00e9" * 40):
            why = infer(server, good, 400, outputs=[{"name": name}])["error"]
            assert name[:30] in why, why
            why = infer(server, [{**good[0], "name": name}], 400)["error"]
            assert name[:30] in why, why
        # A model that has as many, so that their number is no reason.
        about = server.json("GET", "/v2/models/detector")
        names = [{"name": output["name"]} for output in about["outputs"]]
        picture = about["inputs"][0]
        message = {"inputs": [{**picture, "data": [0] * math.prod(picture["shape"])}]}
        for outputs, status in ((names, 200), (names[:1] * 2, 400)):
            server.json("POST", "/v2/models/detector/infer", json.dumps({**message, "outputs": outputs}), status=status)


def test_compressed_bodies():
    with Server() as server:
        body = json.dumps({"inputs": [tensor(data=list(PIXELS))]}).encode()
        want = server.json("POST", INFER, body)
        for coding, data in (("gzip", gzip.compress(body)), ("deflate", zlib.compress(body))):
            got = server.json("POST", INFER, data, {"Content-Encoding": coding})
            assert got["outputs"] == want["outputs"]
        # The length of JSON is that of JSON, not of what it was compressed to.
        message = {"inputs": [tensor(parameters={"binary_data_size": len(PIXELS)})]}
        text = json.dumps(message).encode()
        got = server.json("POST", INFER, gzip.compress(text + PIXELS), {
            "Content-Encoding": "gzip", "Inference-Header-Content-Length": str(len(text))})
        assert got["outputs"] == want["outputs"]
        for data, status in ((gzip.compress(b" " * (300 << 20), 9), 413), (b"no gzip", 400),
                             (gzip.compress(body)[:-9], 400), (gzip.compress(body) + b"x", 400)):
            server.json("POST", INFER, data, {"Content-Encoding": "gzip"}, status)
        server.json("POST", INFER, body, {"Content-Encoding": "br"}, 415)


def test_a_million_chunks_of_one_byte():
    """CVE-2025-23310 of Triton: memory on the stack for each chunk."""
    with Server() as server:
        with socket.create_connection(("127.0.0.1", server.port), 20) as peer:
            peer.sendall(b"POST " + INFER.encode() + b" HTTP/1.1\r\nHost: x\r\n"
                         b"Transfer-Encoding: chunked\r\n\r\n")
            answer = b""
            try:
                for _ in range(100):
                    peer.sendall(b"1\r\n[\r\n" * 10000)
                peer.sendall(b"0\r\n\r\n")
                answer = peer.recv(65536)
            except OSError:
                pass
        # Not 400, by which all of them would have been read.
        assert answer[9:12] in (b"", b"413"), answer
        server.json("GET", "/v2/health/live")


def test_the_repository():
    with Server(models=("classifier",)) as server:
        response, text = server.ask("POST", "/v2/repository/index")
        assert json.loads(text) == [
            {"name": "classifier", "version": "1", "state": "READY", "reason": ""}]
        # As tritonclient does: no length, no body.
        with socket.create_connection(("127.0.0.1", server.port), 20) as peer:
            peer.sendall(b"POST /v2/repository/index HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b" 200 " in peer.recv(65536)
        server.json("POST", "/v2/repository/models/detector/load", status=404)
        server.add("detector", 1)
        response, text = server.ask("POST", "/v2/repository/models/detector/load", b"{}")
        assert (response.status, text) == (200, b""), (response.status, text)
        server.json("GET", "/v2/models/detector/ready")
        unload = json.dumps({"parameters": {"unload_dependents": False}})
        assert server.ask("POST", "/v2/repository/models/detector/unload", unload)[0].status == 200
        server.json("GET", "/v2/models/detector/ready", status=503)
        index = server.json("POST", "/v2/repository/index", b"{}")
        assert [row["state"] for row in index] == ["READY", "UNAVAILABLE"], index
        assert len(server.json("POST", "/v2/repository/index", b'{"ready":true}')) == 1
        # Nobody brings a model of his own.
        for parameters in ({"config": "{}"}, {"file:1/model.tflite": "AAAA"}):
            server.json("POST", "/v2/repository/models/detector/load",
                        json.dumps({"parameters": parameters}), status=400)
        server.json("POST", "/v2/repository/models/detector/load", b"[]", status=400)
        server.json("POST", "/v2/repository/models/none/unload", status=404)
        server.json("POST", "/v2/repository/models/..%2f..%2fetc/load", status=404)


def test_statistics():
    with Server() as server:
        for _ in range(3):
            infer(server, [tensor(data=[0] * len(PIXELS))])
        infer(server, [tensor(data=[0] * len(PIXELS))], 504, parameters={"timeout": 1})
        stats, = server.json("GET", "/v2/models/classifier/stats")["model_stats"]
        assert stats["inference_count"] == 3 and stats["last_inference"] > 1600000000000
        assert stats["inference_stats"]["success"]["count"] == 3
        assert stats["inference_stats"]["fail"]["count"] == 1
        assert stats["inference_stats"]["compute_infer"]["ns"] > 0
        assert len(server.json("GET", "/v2/models/stats")["model_stats"]) == 2
        _, text = server.ask("GET", "/metrics")
        assert b'api="oip",code="200"' in text and b"\nnpu_inference_total 3\n" in text


def test_tensorflow_serving():
    with Server() as server:
        path = "/v1/models/classifier"
        status, = server.json("GET", path)["model_version_status"]
        assert status["version"] == "1" and status["state"] == "AVAILABLE"
        assert status["status"] == {"error_code": "OK", "error_message": ""}
        about = server.json("GET", path + "/versions/1/metadata")
        assert about["model_spec"]["name"] == "classifier"
        signature = about["metadata"]["signature_def"]["signature_def"]["serving_default"]
        assert signature["inputs"]["image"]["dtype"] == "DT_UINT8"
        assert [dim["size"] for dim in signature["inputs"]["image"]["tensor_shape"]["dim"]] == [
            "1", "96", "96", "3"]

        def predict(body, status=200, path=path + ":predict", **headers):
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
            answer = server.json("POST", path, body, headers, status)
            if status == 200:
                times = answer.pop("times_ms")
                assert answer.pop("device") == "cpu" and times["compute"] > 0, times
            return answer

        row = nested(PIXELS, SHAPE[1:])
        scores = infer(server, [tensor(data=list(PIXELS))])["outputs"][0]["data"]
        assert predict({"instances": [row]}) == {"predictions": [scores]}
        assert predict({"instances": [row] * 3}) == {"predictions": [scores] * 3}
        assert predict({"instances": [{"image": row}] * 2, "signature_name": "serving_default"}) == {
            "predictions": [scores] * 2}
        assert predict({"inputs": [row]}) == {"outputs": [scores]}
        assert predict({"inputs": {"image": [row, row]}}) == {"outputs": [scores] * 2}
        packed = gzip.compress(json.dumps({"instances": [row]}).encode())
        assert predict(packed, **{"Content-Encoding": "gzip"}) == {"predictions": [scores]}
        best = server.json("POST", "/infer?top=1", PICTURE)["predictions"][0]
        text = {"b64": base64.b64encode(PICTURE).decode()}
        for body in ({"instances": [text]}, {"instances": [{"image": text}]}):
            found, = predict(body, path=path + "/versions/1:predict")["predictions"]
            assert found.index(max(found)) == best["class_id"]
        assert predict({"inputs": {"image": [text] * 2}})["outputs"] == [found] * 2
        boxes = predict({"instances": [text]}, path="/v1/models/detector:predict")["predictions"][0]
        assert len(boxes["detection_boxes"]) == 10 and len(boxes["detection_boxes"][0]) == 4
        assert isinstance(boxes["num_detections"], (int, float)), boxes

        for body in (b"", b"[]", b"{}", b"{", {"instances": []}, {"instances": 7},
                     {"instances": [7]}, {"instances": [row[1:]]}, {"instances": [{}]},
                     {"instances": [{"x": row}]}, {"instances": [row], "inputs": [row]},
                     {"instances": [row], "signature_name": "other"}, {"inputs": {"x": [row]}},
                     {"instances": [row, text]}, {"instances": [text, row]},
                     {"instances": [{"b64": "*"}]}, {"instances": [{"b64": 7}]},
                     {"instances": [{"b64": ""}]}, {"inputs": row}, {"inputs": "x"},
                     {"instances": [text] * 65}, {"instances": [float("nan")]},
                     b'{"instances":' + b"[" * 100000):
            predict(body, 400)
        predict({"instances": [row]}, 404, path="/v1/models/none:predict")
        for path, status in (("/v1/models/none", 404), ("/v1/models/classifier/versions/9", 404),
                             ("/v1/models/none/metadata", 404), ("/v1/models/a:predict", 404)):
            server.json("GET", path, status=status)


def test_the_description_has_every_path():
    """/openapi.json has the rows of routes.c, and no others."""
    routes = (pathlib.Path(__file__).parents[2] / "src/serve/routes.c").read_text()
    rows = re.findall(r'\{"([A-Z]+)",\s*"([^"]+)"', routes)
    assert len(rows) > 30, rows
    with Server() as server:
        document = server.json("GET", "/openapi.json")
        described = {(method.upper(), re.sub(r"\{\w+\}", "*", path))
                     for path, methods in document["paths"].items() for method in methods}
        assert described == set(rows), described ^ set(rows)
        for path, methods in document["paths"].items():
            path = re.sub(r"\{(\w+)\}", lambda name: {"version": "1"}.get(name[1], "classifier"), path)
            for method in methods:
                # A good answer of one has no end.
                wrong = "?threshold=x" if path == "/v1/events" else ""
                response, _ = server.ask(method.upper(), path + wrong)
                expected = set(methods[method]["responses"])
                assert str(response.status) in expected, (method, path, response.status, expected)


def test_many_at_once_have_their_own_answers():
    with Server("--instances", "2") as server:
        pictures = [bytes([i * 16]) * len(PIXELS) for i in range(8)]
        want = [binary(server, b"", picture)[1] for picture in pictures]
        wrong = []

        def ask(i):
            for _ in range(20):
                if binary(server, b"", pictures[i])[1] != want[i]:
                    wrong.append(i)

        threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong and len(set(want)) > 1, wrong


if __name__ == "__main__":
    sys.exit(main(globals()))
