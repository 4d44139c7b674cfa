"""The proto file keeps the contract, and the committed stubs are made from it."""

import tomllib
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from auralink.engine.rpc.stubs import aic_compression_pb2 as pb
from auralink.engine.rpc.stubs import generate

STUBS = Path(generate.__file__).parent
ROOT = Path(__file__).parents[3]

# Field: number and type, of every message that existing clients send or read.
CONTRACT = {
    "CompressFrameRequest": "session_id:1:string call_id:2:string participant_id:3:string "
    "frame_number:4:int64 timestamp_us:5:int64 frame_data:6:bytes frame_type:7:enum "
    "metadata:8:message mode:9:enum target_compression_ratio:10:float max_latency_ms:11:int32 "
    "network:12:message",
    "CompressFrameResponse": "status:1:enum error_message:2:string compressed_data:3:bytes "
    "original_size_bytes:4:int32 compressed_size_bytes:5:int32 actual_compression_ratio:6:float "
    "ai_metadata:7:message performance:8:message fallback_used:9:bool fallback_reason:10:string",
    "CompressionHintRequest": "session_id:1:string metadata:2:message network:3:message "
    "mode:4:enum",
    "CompressionHintResponse": "recommended_compression_ratio:1:float "
    "predicted_quality_score:2:float predicted_latency_ms:3:int32 recommended_codec:4:string "
    "hints:5:message confidence_score:6:float",
    "NetworkAnalysisRequest": "session_id:1:string samples:2:message "
    "analysis_window_seconds:3:int32",
    "NetworkAnalysisResponse": "available_bandwidth_kbps:1:float predicted_bandwidth_kbps:2:float "
    "network_stability_score:3:float quality:4:enum recommendation:5:string "
    "enable_aggressive_compression:6:bool",
    "HealthCheckRequest": "service_name:1:string",
    "HealthCheckResponse": "status:1:enum version:2:string uptime_seconds:3:int64 "
    "resources:4:message model_status:5:message",
    "FrameMetadata": "width:1:int32 height:2:int32 fps:3:int32 codec:4:string "
    "resolution_class:5:string sample_rate:6:int32 channels:7:int32 bitrate_kbps:8:int32 "
    "is_keyframe:9:bool pts:10:int64 dts:11:int64",
    "NetworkConditions": "available_bandwidth_kbps:1:int32 rtt_ms:2:int32 "
    "packet_loss_percent:3:float jitter_ms:4:float connection_type:5:string",
    "AIMetadata": "model_type:1:string model_version:2:string compression_ratio:3:float "
    "quality_score:4:float confidence:5:float inference_timestamp_us:6:int64 "
    "custom_hints:7:message psnr_db:8:float ssim:9:float",
    "PerformanceMetrics": "inference_latency_ms:1:int32 preprocessing_ms:2:int32 "
    "model_inference_ms:3:int32 postprocessing_ms:4:int32 total_latency_ms:5:int32 "
    "gpu_utilization_percent:6:float memory_used_mb:7:int32 cpu_utilization_percent:8:float",
    "NetworkSample": "timestamp_us:1:int64 bandwidth_kbps:2:int32 rtt_ms:3:int32 "
    "packet_loss_percent:4:float",
    "ResourceUsage": "cpu_percent:1:float memory_percent:2:float gpu_percent:3:float "
    "active_sessions:4:int32 total_frames_processed:5:int64",
    "ModelStatus": "model_type:1:string version:2:string loaded:3:bool gpu_available:4:bool "
    "inference_queue_length:5:int32 avg_inference_ms:6:float",
}
ENUMS = {
    "FrameType": "FRAME_TYPE_UNKNOWN FRAME_TYPE_VIDEO FRAME_TYPE_AUDIO FRAME_TYPE_SCREEN "
    "FRAME_TYPE_DATA",
    "CompressionMode": "MODE_OFF MODE_CONSERVATIVE MODE_ADAPTIVE MODE_AGGRESSIVE",
    "CompressionStatus": "STATUS_SUCCESS STATUS_FALLBACK STATUS_ERROR STATUS_TIMEOUT "
    "STATUS_QUALITY_THRESHOLD_NOT_MET",
    "NetworkQuality": "NETWORK_UNKNOWN NETWORK_EXCELLENT NETWORK_GOOD NETWORK_FAIR NETWORK_POOR",
    "HealthStatus": "HEALTH_UNKNOWN HEALTH_HEALTHY HEALTH_DEGRADED HEALTH_UNHEALTHY",
}
METHODS = {
    "CompressFrame": ("CompressFrameRequest", "CompressFrameResponse", False),
    "CompressStream": ("CompressFrameRequest", "CompressFrameResponse", True),
    "GetCompressionHints": ("CompressionHintRequest", "CompressionHintResponse", False),
    "AnalyzeNetworkConditions": ("NetworkAnalysisRequest", "NetworkAnalysisResponse", False),
    "HealthCheck": ("HealthCheckRequest", "HealthCheckResponse", False),
    "DecompressStream": ("DecompressRequest", "DecompressResponse", True),
}
TYPES = {
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_INT64: "int64",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_ENUM: "enum",
    FieldDescriptor.TYPE_MESSAGE: "message",
    FieldDescriptor.TYPE_FLOAT: "float",
    FieldDescriptor.TYPE_BOOL: "bool",
}


def fields_of(message: Descriptor) -> set[str]:
    return {f"{field.name}:{field.number}:{TYPES[field.type]}" for field in message.fields}


def test_stubs_are_what_the_proto_file_makes() -> None:
    assert {path.name for path in STUBS.glob("*_pb2*")} == set(generate.generate())
    for name, text in generate.generate().items():
        assert (STUBS / name).read_text("utf-8") == text, f"{name} is old: make protos"


def test_dependencies_are_new_enough_for_the_stubs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    grpc_stub = (STUBS / "aic_compression_pb2_grpc.py").read_text("utf-8")
    message_stub = (STUBS / "aic_compression_pb2.py").read_text("utf-8")
    made_by = grpc_stub.split("GRPC_GENERATED_VERSION = '")[1].split("'")[0]
    protobuf = message_stub.split("Protobuf Python Version: ")[1].split()[0]

    assert f"grpcio>={made_by}" in project["project"]["dependencies"]
    assert f"protobuf>={protobuf}" in project["project"]["dependencies"]


@pytest.mark.parametrize("name", CONTRACT)
def test_message_keeps_names_numbers_and_types(name: str) -> None:
    message = pb.DESCRIPTOR.message_types_by_name[name]

    assert set(CONTRACT[name].split()) <= fields_of(message)


@pytest.mark.parametrize("name", ENUMS)
def test_enum_keeps_names_and_numbers(name: str) -> None:
    values = pb.DESCRIPTOR.enum_types_by_name[name].values

    assert [value.name for value in values] == ENUMS[name].split()
    assert [value.number for value in values] == list(range(len(values)))


def test_service_keeps_its_methods_and_has_the_other_half() -> None:
    service = pb.DESCRIPTOR.services_by_name["AICCompressionService"]

    assert service.full_name == "auralink.aic.v1.AICCompressionService"
    assert {
        method.name: (
            method.input_type.name,
            method.output_type.name,
            method.client_streaming and method.server_streaming,
        )
        for method in service.methods
    } == METHODS


def test_quality_that_was_not_measured_is_absent_and_not_zero() -> None:
    assert not pb.AIMetadata().HasField("psnr_db")
    assert pb.AIMetadata(psnr_db=0.0).HasField("psnr_db")
