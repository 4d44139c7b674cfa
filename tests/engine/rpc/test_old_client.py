"""A client that was made from the contract alone, before anything was added to it."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from ...codecs.pictures import moving
from .conftest import Served
from .frames import packed
from .test_proto import CONTRACT

NESTED: Final = {
    "metadata": "FrameMetadata",
    "network": "NetworkConditions",
    "ai_metadata": "AIMetadata",
    "performance": "PerformanceMetrics",
    "samples": "NetworkSample",
    "resources": "ResourceUsage",
    "model_status": "ModelStatus",
}
REPEATED: Final = {"samples"}
MAPS: Final = {"hints", "custom_hints"}
Type: Final = descriptor_pb2.FieldDescriptorProto
# On the wire an enum is a number like any other.
TYPES: Final = {
    "string": Type.TYPE_STRING,
    "bytes": Type.TYPE_BYTES,
    "bool": Type.TYPE_BOOL,
    "float": Type.TYPE_FLOAT,
    "int32": Type.TYPE_INT32,
    "int64": Type.TYPE_INT64,
    "enum": Type.TYPE_INT32,
    "message": Type.TYPE_MESSAGE,
}


def old_messages() -> dict[str, Any]:
    """Classes by name, from nothing but names, numbers and types."""
    file = descriptor_pb2.FileDescriptorProto(name="old.proto", package="old", syntax="proto3")
    for name, fields in CONTRACT.items():
        message = file.message_type.add(name=name)
        for text in fields.split():
            field, number, kind = text.split(":")
            if field in MAPS:
                continue
            label = Type.LABEL_REPEATED if field in REPEATED else Type.LABEL_OPTIONAL
            made = message.field.add(name=field, number=int(number), type=TYPES[kind], label=label)
            if kind == "message":
                made.type_name = f".old.{NESTED[field]}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"old.{name}"))
        for name in CONTRACT
    }


async def test_it_is_served_as_it_always_should_have_been(
    serve: Callable[..., Awaitable[Served]],
) -> None:
    served = await serve()
    old = old_messages()
    service = "/auralink.aic.v1.AICCompressionService"

    def method(name: str, asked: str, answered: str) -> Any:
        return served.channel.unary_unary(
            f"{service}/{name}",
            request_serializer=old[asked].SerializeToString,
            response_deserializer=old[answered].FromString,
        )

    compress = method("CompressFrame", "CompressFrameRequest", "CompressFrameResponse")
    hint = method("GetCompressionHints", "CompressionHintRequest", "CompressionHintResponse")
    analyse = method(
        "AnalyzeNetworkConditions", "NetworkAnalysisRequest", "NetworkAnalysisResponse"
    )
    health = method("HealthCheck", "HealthCheckRequest", "HealthCheckResponse")
    frame = moving(1)

    answer = await compress(
        old["CompressFrameRequest"](
            session_id="call-1",
            participant_id="ann",
            frame_number=1,
            timestamp_us=frame.pts_us,
            frame_data=packed(frame),
            frame_type=1,
            metadata=old["FrameMetadata"](width=176, height=144, fps=30),
            mode=1,
            target_compression_ratio=0.5,
        )
    )
    hinted = await hint(
        old["CompressionHintRequest"](
            session_id="call-1", metadata=old["FrameMetadata"](width=176, height=144), mode=2
        )
    )
    samples = [old["NetworkSample"](timestamp_us=n, bandwidth_kbps=700) for n in range(1, 9)]
    analysed = await analyse(old["NetworkAnalysisRequest"](session_id="call-1", samples=samples))
    healthy = await health(old["HealthCheckRequest"]())

    assert answer.status == 0
    assert answer.original_size_bytes == len(packed(frame))
    assert 0 < answer.compressed_size_bytes == len(answer.compressed_data)
    assert 0.9 < answer.actual_compression_ratio < 1
    assert answer.ai_metadata.model_type == "hybrid"
    assert 0.9 < answer.ai_metadata.ssim <= 1
    assert answer.ai_metadata.psnr_db > 25
    assert hinted.recommended_codec == "hybrid"
    assert hinted.recommended_compression_ratio > 0
    assert analysed.quality == 4
    assert analysed.enable_aggressive_compression
    assert (healthy.status, healthy.version) == (1, "9.8.7")
    assert healthy.resources.active_sessions == 1
