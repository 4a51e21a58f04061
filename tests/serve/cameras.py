#!/usr/bin/env python3
"""What cameras' software asks: DeepStack, CodeProject.AI, DOODS, and pictures with the answer in them.

usage: cameras.py SCREE MODELS-FOLDER [TEST...]
"""
import base64
import json
import sys
from email.utils import parsedate_to_datetime

from server import MODELS, PICTURE, Server, main

SCENE = next(MODELS.glob("pictures/scene_*")).read_bytes()
JSON = {"Content-Type": "application/json"}


def test_deepstack():
    with Server() as server:
        server.form("/v1/vision/detection?model=classifier", 400, image=PICTURE)
        answer = server.form("/v1/vision/detection?model=detector", image=PICTURE,
                             min_confidence="0.2", api_key="")
        assert answer["success"] is True and len(answer["predictions"]) <= 20
        for found in answer["predictions"]:
            assert set(found) == {"confidence", "label", "x_min", "y_min", "x_max", "y_max"}
            assert found["confidence"] >= 0.2 and isinstance(found["x_min"], int)
        assert answer["predictions"], answer
        assert server.form("/v1/vision/detection", image=PICTURE,
                           min_confidence="0.2")["predictions"] == answer["predictions"]
        scores = [found["confidence"] for found in answer["predictions"]]
        assert scores == sorted(scores, reverse=True), scores
        same = server.form("/v1/vision/custom/detector", image=PICTURE, min_confidence="0.2")
        assert same["predictions"] == answer["predictions"]
        assert server.form("/v1/vision/detection?model=detector", 400, image=PICTURE,
                           min_confidence="2")["success"] is False
        assert server.form("/v1/vision/detection?model=detector", 400,
                           image=b"x")["success"] is False
        assert server.json("POST", "/v1/vision/custom/list")["models"] == ["detector"]
        for path in ("/v1/status/", "/v1/server/status/"):
            assert server.json("GET", path + "ping") == {"success": True}
            version = server.json("GET", path + "version")["version"]
            update = server.json("GET", path + "updateavailable")
            assert update["current"] == version and update["updateAvailable"] is False, update
        scene = server.form("/v1/vision/scene", image=PICTURE)
        assert scene["success"] is True and scene["label"] and 0 < scene["confidence"] <= 1, scene
        for told in (answer, scene):
            assert told["device"] == "cpu" and told["times_ms"]["compute"] > 0, told


def test_all_scores():
    """A least score of 0 leaves nothing out; without one there is a default."""
    with Server() as server:
        def n_found(score):
            return len(server.form("/v1/vision/detection", image=SCENE, min_confidence=score)["predictions"])

        assert n_found("0") == n_found("0.0001") > n_found("0.5") > 0
        path = "/detect?model=detector"
        everything = server.json("POST", path + "&threshold=0.0001", SCENE)["detections"]
        assert server.json("POST", path + "&threshold=0", SCENE)["detections"] == everything
        assert 0 < len(server.json("POST", path, SCENE)["detections"]) < len(everything)


def test_refusals_of_deepstack():
    """Whenever it is said, no is said in the same form: at the request's headers, and later."""
    bad = MODELS / "shapes_labels.txt"
    for options, codes in (((), (404, 404, 503, 400)), (("--always-200",), (200,) * 4)):
        with Server(*options) as server:
            server.add("bad", 1, bad)
            server.reload(lambda: any("bad 1" in line for line in server.log))
            for path, code, told in zip(("detection?version=9", "scene?model=none", "custom/bad",
                                         "detection?top=x"), codes, (404, 404, 503, 400)):
                response, text = server.ask("POST", "/v1/vision/" + path, PICTURE)
                answer = json.loads(text)
                assert response.status == code, (path, response.status)
                assert answer["success"] is False and answer["code"] == told and answer["error"], answer
                assert response.getheader("Retry-After") == ("1" if told == 503 else None), path
    with Server("--rate", "1", "--burst", "1", "--always-200") as server:
        answers = [server.form("/v1/vision/detection", image=PICTURE) for _ in range(3)]
        assert [answer["code"] for answer in answers] == [200, 429, 429], answers
        assert answers[2]["success"] is False


def test_labels_in_other_scripts():
    """Names are cut between characters: half of one would make the whole answer, and /metrics, none in UTF-8."""
    name = "\u00e9" * 60
    with Server() as server:
        labels = server.folder / "labels"
        labels.write_text("\n".join([name] * 10))
        server.add("other", 1, MODELS / "shapes_detector.tflite", labels)
        server.reload(lambda: server.ask("GET", "/v2/models/other/ready")[0].status == 200)
        found = server.json("POST", "/detect?model=other", SCENE)["detections"]
        assert found and all(one["class"] == name[:31] for one in found), found
        found = server.form("/v1/vision/custom/other", image=SCENE)["predictions"]
        assert found and all(one["label"] == name for one in found), found
        _, text = server.ask("GET", "/metrics")
        assert f'npu_detections_total{{model="other",label="{name[:19]}"}}' in text.decode()


def test_codeproject():
    with Server("--always-200", "--versions", "all") as server:
        server.add("detector", 2)
        server.reload(lambda: server.ask("POST", "/detect?model=detector&version=2",
                                         PICTURE)[0].status == 200)
        assert server.json("POST", "/v1/vision/custom/list")["models"] == ["detector"]
        answer = server.form("/v1/vision/detection", image=PICTURE)
        assert {"message", "count", "processMs", "inferenceMs", "moduleId", "moduleName", "code",
                "command", "requestId", "inferenceDevice", "analysisRoundTripMs", "processedBy",
                "timestampUTC"} <= set(answer), answer
        assert parsedate_to_datetime(answer["timestampUTC"]).year > 2000
        response, text = server.ask("POST", "/v1/vision/detection", PICTURE,
                                    {"X-Request-ID": "mine-7"})
        assert json.loads(text)["requestId"] == response.getheader("X-Request-ID") == "mine-7"
        bad = server.form("/v1/vision/detection", image=b"no picture")
        assert bad["success"] is False and bad["error"] and bad["code"] == 400, bad


def doods(server, path="/detect", status=200, **ask):
    ask.setdefault("data", base64.b64encode(SCENE).decode())
    response, text = server.ask("POST", path, json.dumps(ask), JSON)
    assert response.status == status, (path, response.status, text)
    return json.loads(text) if response.getheader("Content-Type") == "application/json" else text


def test_doods():
    with Server() as server:
        detectors = server.json("GET", "/detectors")["detectors"]
        assert [d["name"] for d in detectors] == ["default", "detector"], detectors
        assert detectors[0]["labels"] and detectors[0]["channels"] == 3
        answer = doods(server, detector_name="detector", detect={"*": 30}, id="7")
        assert answer["id"] == "7" and answer["detections"] and "error" not in answer, answer
        assert answer["device"] == "cpu" and answer["times_ms"]["compute"] > 0, answer
        for found in answer["detections"]:
            assert 0 <= found["left"] < found["right"] <= 1 and found["confidence"] >= 30
        # The default is what finds things, though a classifier comes first in the folder.
        assert doods(server, detect={"*": 30})["detections"] == answer["detections"]
        assert server.json("POST", "/detect", SCENE)["model"] == "detector"
        assert server.json("POST", "/infer", SCENE)["model"] == "classifier"
        assert doods(server, detect={"no such label": 1})["detections"] == []
        for body in ("", "[]", "{", json.dumps({"data": "*"}), json.dumps({"data": 7})):
            server.json("POST", "/detect", body, JSON, status=400)
        doods(server, detector_name="none", status=404)
        doods(server, detector_name="classifier", status=400)


def test_doods_labels():
    with Server() as server:
        everything = doods(server, detect={"*": 30})["detections"]
        label, score = everything[0]["label"], everything[0]["confidence"]
        own = [d for d in everything if d["label"] == label]
        assert doods(server, detect={label: 30})["detections"] == own
        assert doods(server, detect={label: score + 1})["detections"] == [
            d for d in own if d["confidence"] > score]
        # A label's own score counts before that of all.
        assert doods(server, detect={label: 101, "*": 30})["detections"] == [
            d for d in everything if d["label"] != label]


def test_doods_of_too_much():
    """Ten megabytes of regions as short as can be would take 700 of memory."""
    with Server() as server:
        doods(server, regions=[{}] * 1000)
        doods(server, status=400, regions=[{}] * 20000)
        doods(server, status=400, regions=[[]] * 20000)
        doods(server, status=400, detect={str(i): 1 for i in range(20000)})


def test_doods_regions():
    with Server() as server:
        everything = doods(server, detect={"*": 30})["detections"]
        one = everything[0]
        around = {side: one[side] + (0.001 if side in ("bottom", "right") else -0.001)
                  for side in ("top", "left", "bottom", "right")}
        within = [d for d in everything if d["top"] >= around["top"] and d["left"] >= around["left"]
                  and d["bottom"] <= around["bottom"] and d["right"] <= around["right"]]
        region = {**around, "covers": True, "detect": {"*": 30}}
        assert one in within and doods(server, regions=[region])["detections"] == within
        middle = {"top": (one["top"] + one["bottom"]) / 2, "left": (one["left"] + one["right"]) / 2,
                  "detect": {one["label"]: 30}}
        middle |= {"bottom": middle["top"], "right": middle["left"]}
        assert one in doods(server, regions=[middle])["detections"]
        assert one not in doods(server, regions=[middle | {"covers": True}])["detections"]
        # What the request itself wants is told wherever it is.
        assert doods(server, detect={"*": 30}, regions=[middle])["detections"] == everything
        assert doods(server, regions=[{"detect": 7}, "x", {"top": "x"}])["detections"] == []


def test_pictures():
    with Server() as server:
        def is_drawn(text):
            assert text[:2] == b"\xff\xd8" and text[-2:] == b"\xff\xd9", text[:200]
            return text

        for path in ("/infer?draw=1", "/detect?model=detector&draw=1", "/infer?draw=1&top=1"):
            response, text = server.ask("POST", path, SCENE)
            assert response.getheader("Content-Type") == "image/jpeg", text
            assert response.getheader("X-Inference-Device"), response.headers
            is_drawn(text)
        _, plain = server.ask("POST", "/detect?model=detector&draw=1&threshold=1", SCENE)
        _, drawn = server.ask("POST", "/detect?model=detector&draw=1&threshold=0.3", SCENE)
        _, same = server.ask("POST", "/detect?model=detector&threshold=0.3", SCENE,
                             {"Accept": "text/html;q=0.1, image/jpeg"})
        assert plain != drawn == same
        server.json("POST", "/detect?model=detector&draw=0", SCENE, {"Accept": "image/jpeg"})
        server.json("POST", "/infer", SCENE, {"Accept": "application/json, image/jpeg;q=0.5"})
        server.json("POST", "/infer?draw=1", b"no picture", status=400)
        is_drawn(doods(server, "/image", detect={"*": 30}))
        both = doods(server, detect={"*": 30}, image="image/jpeg")
        assert both["detections"]
        is_drawn(base64.b64decode(both["image"], validate=True))
        assert "image" not in doods(server, detect={"*": 30}, image="")


if __name__ == "__main__":
    sys.exit(main(globals()))
