"""A gRPC client without generated code: classes are made from the descriptors that the server reflects.

Needs the PyPI packages grpcio, grpcio-reflection and grpcio-status.
"""

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status


class Client:
    """Calls any method of a server by its name, with requests and answers as dictionaries."""

    def __init__(self, address: str, token: str | None):
        self._channel = grpc.insecure_channel(address)
        self._metadata = [("authorization", f"Bearer {token}")] if token else []
        self._pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(self._channel))

    def services(self) -> list[str]:
        """The services that the server reflects."""
        return sorted(ProtoReflectionDescriptorDatabase(self._channel).get_services())

    def _prepare(self, method: str, request: dict):
        service, name = method.rsplit("/", 1)
        found = self._pool.FindServiceByName(service).FindMethodByName(name)
        message = json_format.ParseDict(request, message_factory.GetMessageClass(found.input_type)())
        path = f"/{service}/{name}"
        kind = self._channel.unary_stream if found.server_streaming else self._channel.unary_unary
        call = kind(
            path,
            request_serializer=lambda m: m.SerializeToString(),
            response_deserializer=message_factory.GetMessageClass(found.output_type).FromString,
        )
        return call, message, found.server_streaming

    def call(self, method: str, request: dict, timeout: float = 30.0) -> dict:
        """A unary call, such as `autopack.registry.v1.RegistryService/GetRun`."""
        call, message, _ = self._prepare(method, request)
        return json_format.MessageToDict(call(message, metadata=self._metadata, timeout=timeout))

    def stream(self, method: str, request: dict, timeout: float = 300.0):
        """A call that is answered by a stream."""
        call, message, _ = self._prepare(method, request)
        for answer in call(message, metadata=self._metadata, timeout=timeout):
            yield json_format.MessageToDict(answer)

    def any(self, method: str, request: dict):
        """Unary or streaming, as the method is: a list of answers."""
        _, _, streaming = self._prepare(method, request)
        return list(self.stream(method, request)) if streaming else [self.call(method, request)]


def explain(error: grpc.RpcError) -> dict:
    """A refusal as data: code, text, and the details that the server attached."""
    answer = {"code": error.code().name, "message": error.details()}
    status = rpc_status.from_call(error)
    if status is not None:
        from google.rpc import error_details_pb2 as details

        for packed in status.details:
            for kind in (details.ErrorInfo, details.BadRequest, details.PreconditionFailure, details.RetryInfo, details.Help):
                if packed.Is(kind.DESCRIPTOR):
                    message = kind()
                    packed.Unpack(message)
                    answer[kind.DESCRIPTOR.name] = json_format.MessageToDict(message)
    return answer
