#!/usr/bin/env python3
"""KServe's own client, unmodified: REST with JSON and binary tensors, and gRPC.

usage: kserve_client.py HOST HTTP-PORT GRPC-PORT PICTURE     (a repository with the models of models/)
"""
import asyncio
import sys

import numpy
from kserve import InferInput, InferRequest, InferenceGRPCClient, InferenceRESTClient, RESTConfig

HOST, HTTP_PORT, GRPC_PORT, PICTURE = sys.argv[1:5]
PIXELS = (numpy.arange(96 * 96 * 3) % 256).astype(numpy.uint8).reshape(1, 96, 96, 3)


def request(binary):
    tensor = InferInput("image", [1, 96, 96, 3], "UINT8")
    tensor.set_data_from_numpy(PIXELS, binary_data=binary)
    return InferRequest(model_name="classifier", infer_inputs=[tensor], request_id="7")


async def rest():
    base = f"http://{HOST}:{HTTP_PORT}"
    client = InferenceRESTClient(RESTConfig(protocol="v2", timeout=10))
    assert await client.is_server_live(base) and await client.is_server_ready(base)
    assert await client.is_model_ready(base, "classifier")
    answers = []
    for binary in (False, True):
        answer = await client.infer(base, request(binary), model_name="classifier")
        answers.append(answer.outputs[0].as_numpy())
        assert answer.id == "7" and answers[-1].shape == (1, 10)
    assert (answers[0] == answers[1]).all()
    await client.close()
    return answers[0]


async def grpc(want):
    client = InferenceGRPCClient(url=f"{HOST}:{GRPC_PORT}")
    assert await client.is_server_live() and await client.is_server_ready()
    assert await client.is_model_ready("classifier")
    answer = await client.infer(request(True))
    assert (answer.outputs[0].as_numpy() == want).all()
    await client.close()


async def main():
    want = await rest()
    print("ok rest", want.tolist())
    await grpc(want)
    print("ok grpc")


asyncio.run(main())
