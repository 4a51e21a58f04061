#!/usr/bin/env python3
"""The health of gRPC by its own client, grpcio-health-checking.

usage: health.py HOST HTTP-PORT GRPC-PORT PICTURE
"""
import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

HOST, _, PORT, _ = sys.argv[1:5]

with grpc.insecure_channel(f"{HOST}:{PORT}") as channel:
    health = health_pb2_grpc.HealthStub(channel)
    for service in ("", "inference.GRPCInferenceService", "classifier"):
        request = health_pb2.HealthCheckRequest(service=service)
        serving = health_pb2.HealthCheckResponse.SERVING
        assert health.Check(request, timeout=10).status == serving
        watch = health.Watch(request, timeout=10)
        assert next(watch).status == serving
        watch.cancel()
    try:
        health.Check(health_pb2.HealthCheckRequest(service="none"), timeout=10)
        raise SystemExit("a service that nobody knows is healthy")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.NOT_FOUND, error
print("ok health")
