"""The service that scree replaces, made again from what it answers: Flask's development server, Pillow, LiteRT.

One interpreter, taken by one request at a time (the original has no lock, and two requests at once spoil each other's
tensors). Environment: MODEL_PATH, LABELS_PATH, PORT.
"""
import io
import os
import threading
import time

import flask
import numpy
from PIL import Image
from ai_edge_litert.interpreter import Interpreter

SIZE = 224
TOP = 5

app = flask.Flask(__name__)
interpreter = Interpreter(model_path=os.environ["MODEL_PATH"])
interpreter.allocate_tensors()
labels = open(os.environ["LABELS_PATH"], encoding="utf-8").read().splitlines()
lock = threading.Lock()
totals = {"inferences": 0, "seconds": 0.0}


@app.get("/health")
def health():
    return flask.jsonify(status="healthy", model_loaded=True, inference_count=totals["inferences"])


@app.get("/metrics")
def metrics():
    n, seconds = totals["inferences"], totals["seconds"]
    text = (f"npu_inference_total {n}\nnpu_inference_time_seconds_total {seconds:.6f}\n"
            f"npu_inference_time_seconds_avg {seconds / n if n else 0:.6f}\n")
    return flask.Response(text, mimetype="text/plain")


@app.post("/infer")
def infer():
    file = flask.request.files.get("image")
    data = file.read() if file else flask.request.data
    if not data:
        return flask.jsonify(error="No image provided"), 400
    picture = Image.open(io.BytesIO(data)).convert("RGB").resize((SIZE, SIZE), Image.BILINEAR)
    tensor = numpy.expand_dims(numpy.asarray(picture, dtype=numpy.uint8), 0)
    with lock:
        start = time.time()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], tensor)
        interpreter.invoke()
        scores = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]
        seconds = time.time() - start
        totals["inferences"] += 1
        totals["seconds"] += seconds
    best = numpy.argsort(scores)[-TOP:][::-1]
    predictions = [{"class_id": int(i), "score": float(scores[i]), "label": labels[i]} for i in best]
    return flask.jsonify(success=True, predictions=predictions,
                         inference_time_ms=round(seconds * 1000, 2), shape=[1, len(scores)])


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ["PORT"]))
