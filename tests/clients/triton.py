#!/usr/bin/env python3
"""tritonclient, unmodified, against a server: HTTP and gRPC, JSON and binary, everything it can ask.

usage: triton.py HOST HTTP-PORT GRPC-PORT PICTURE      (a repository with the models of models/)
"""
import sys

import numpy
import tritonclient.grpc
import tritonclient.http

HOST, HTTP_PORT, GRPC_PORT, PICTURE = sys.argv[1:5]
PIXELS = (numpy.arange(96 * 96 * 3) % 256).astype(numpy.uint8).reshape(1, 96, 96, 3)


def expect_error(call, *arguments, **more):
    try:
        call(*arguments, **more)
    except tritonclient.http.InferenceServerException as error:
        return str(error)
    raise AssertionError(f"{call} did not fail")


def inputs_of(kind, array, name="image", datatype="UINT8", **more):
    tensor = kind.InferInput(name, list(array.shape), datatype)
    tensor.set_data_from_numpy(array, **more)
    return [tensor]


def common(kind, client):
    """What both clients have."""
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("classifier") and client.is_model_ready("classifier", "1")
    assert not client.is_model_ready("none")
    name = lambda about: about["name"] if isinstance(about, dict) else about.name
    assert name(client.get_server_metadata()) == "scree"
    assert name(client.get_model_metadata("classifier")) == "classifier"
    print("  config:", str(client.get_model_config("classifier")).replace("\n", " ")[:160])

    want = client.infer("classifier", inputs_of(kind, PIXELS)).as_numpy("scores")
    assert want.shape == (1, 10) and want.dtype == numpy.uint8
    answer = client.infer("classifier", inputs_of(kind, PIXELS), model_version="1",
                          request_id="7", priority=1, timeout=5000000,
                          outputs=[kind.InferRequestedOutput("scores")])
    assert (answer.as_numpy("scores") == want).all()
    classes = client.infer("classifier", inputs_of(kind, PIXELS), outputs=[
        kind.InferRequestedOutput("scores", class_count=3)]).as_numpy("scores")
    assert classes.shape == (1, 3), classes.shape
    score, index, label = classes[0][0].decode().split(":")
    assert int(index) == int(want[0].argmax()) and float(score) == want.max(), classes
    print("  classes:", [text.decode() for text in classes[0]])

    picture = numpy.array([open(PICTURE, "rb").read()] * 2, dtype=numpy.object_)
    scores = client.infer("classifier", inputs_of(kind, picture, datatype="BYTES"))
    assert scores.as_numpy("scores").shape == (2, 10)
    boxes = client.infer("detector", inputs_of(kind, numpy.full((1, 128, 128, 3), 9, numpy.uint8)))
    assert boxes.as_numpy("detection_boxes").shape == (1, 10, 4)

    print("  errors:", expect_error(client.infer, "none", inputs_of(kind, PIXELS)),
          "|", expect_error(client.infer, "classifier",
                            inputs_of(kind, PIXELS.astype(numpy.int8), datatype="INT8")))
    client.unload_model("detector")
    assert not client.is_model_ready("detector")
    client.load_model("detector")
    assert client.is_model_ready("detector")
    expect_error(client.load_model, "none")
    expect_error(client.load_model, "detector", config="{}", files={"file:1/model.tflite": b"x"})
    index = client.get_model_repository_index()
    print("  index:", str(index).replace("\n", " "))
    print("  stats:", str(client.get_inference_statistics("classifier")).replace("\n", " ")[:160])
    return want


def test_http():
    with tritonclient.http.InferenceServerClient(f"{HOST}:{HTTP_PORT}") as client:
        want = common(tritonclient.http, client)
        for data in (False, True):
            for output in (False, True):
                answer = client.infer(
                    "classifier", inputs_of(tritonclient.http, PIXELS, binary_data=data),
                    outputs=[tritonclient.http.InferRequestedOutput("scores", binary_data=output)])
                assert (answer.as_numpy("scores") == want).all()
        for coding in ("gzip", "deflate"):
            answer = client.infer("classifier", inputs_of(tritonclient.http, PIXELS),
                                  request_compression_algorithm=coding,
                                  response_compression_algorithm=coding)
            assert (answer.as_numpy("scores") == want).all()
        pending = [client.async_infer("classifier", inputs_of(tritonclient.http, PIXELS))
                   for _ in range(20)]
        assert all((answer.get_result().as_numpy("scores") == want).all() for answer in pending)


def test_grpc():
    with tritonclient.grpc.InferenceServerClient(f"{HOST}:{GRPC_PORT}") as client:
        want = common(tritonclient.grpc, client)
        for coding in ("gzip", "deflate"):
            answer = client.infer("classifier", inputs_of(tritonclient.grpc, PIXELS),
                                  compression_algorithm=coding)
            assert (answer.as_numpy("scores") == want).all()
        answers = []
        for _ in range(20):
            client.async_infer("classifier", inputs_of(tritonclient.grpc, PIXELS),
                               lambda result, error: answers.append(error or result))
        client.start_stream(lambda result, error: answers.append(error or result))
        for i in range(100):
            client.async_stream_infer("classifier", inputs_of(tritonclient.grpc, PIXELS),
                                      request_id=str(i))
        client.async_stream_infer("none", inputs_of(tritonclient.grpc, PIXELS))
        client.stop_stream()
        good = [answer for answer in answers if not isinstance(answer, Exception)]
        bad = [answer for answer in answers if isinstance(answer, Exception)]
        assert len(good) == 120 and len(bad) == 1, (len(good), bad)
        assert all((answer.as_numpy("scores") == want).all() for answer in good)
        ids = [answer.get_response().id for answer in good]
        assert [text for text in ids if text] == [str(i) for i in range(100)]
        late = expect_error(client.infer, "classifier", inputs_of(tritonclient.grpc, PIXELS),
                            timeout=1)
        print("  late:", late)


def main():
    for name, test in (("http", test_http), ("grpc", test_grpc)):
        print("tritonclient", name)
        test()
        print("ok", name)


main()
