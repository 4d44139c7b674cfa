from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FrameOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTCOME_UNSPECIFIED: _ClassVar[FrameOutcome]
    OUTCOME_CODED: _ClassVar[FrameOutcome]
    OUTCOME_SKIPPED: _ClassVar[FrameOutcome]
    OUTCOME_DROPPED_RATE: _ClassVar[FrameOutcome]
    OUTCOME_DROPPED_BACKLOG: _ClassVar[FrameOutcome]
    OUTCOME_DROPPED_TIME: _ClassVar[FrameOutcome]
    OUTCOME_FELL_BACK: _ClassVar[FrameOutcome]
    OUTCOME_PASSED: _ClassVar[FrameOutcome]

class FrameType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FRAME_TYPE_UNKNOWN: _ClassVar[FrameType]
    FRAME_TYPE_VIDEO: _ClassVar[FrameType]
    FRAME_TYPE_AUDIO: _ClassVar[FrameType]
    FRAME_TYPE_SCREEN: _ClassVar[FrameType]
    FRAME_TYPE_DATA: _ClassVar[FrameType]

class CompressionMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODE_OFF: _ClassVar[CompressionMode]
    MODE_CONSERVATIVE: _ClassVar[CompressionMode]
    MODE_ADAPTIVE: _ClassVar[CompressionMode]
    MODE_AGGRESSIVE: _ClassVar[CompressionMode]

class CompressionStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STATUS_SUCCESS: _ClassVar[CompressionStatus]
    STATUS_FALLBACK: _ClassVar[CompressionStatus]
    STATUS_ERROR: _ClassVar[CompressionStatus]
    STATUS_TIMEOUT: _ClassVar[CompressionStatus]
    STATUS_QUALITY_THRESHOLD_NOT_MET: _ClassVar[CompressionStatus]

class NetworkQuality(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NETWORK_UNKNOWN: _ClassVar[NetworkQuality]
    NETWORK_EXCELLENT: _ClassVar[NetworkQuality]
    NETWORK_GOOD: _ClassVar[NetworkQuality]
    NETWORK_FAIR: _ClassVar[NetworkQuality]
    NETWORK_POOR: _ClassVar[NetworkQuality]

class HealthStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HEALTH_UNKNOWN: _ClassVar[HealthStatus]
    HEALTH_HEALTHY: _ClassVar[HealthStatus]
    HEALTH_DEGRADED: _ClassVar[HealthStatus]
    HEALTH_UNHEALTHY: _ClassVar[HealthStatus]

class ErrorCode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERROR_NONE: _ClassVar[ErrorCode]
    ERROR_INVALID_INPUT: _ClassVar[ErrorCode]
    ERROR_MODEL_NOT_LOADED: _ClassVar[ErrorCode]
    ERROR_INFERENCE_TIMEOUT: _ClassVar[ErrorCode]
    ERROR_INFERENCE_FAILED: _ClassVar[ErrorCode]
    ERROR_QUALITY_TOO_LOW: _ClassVar[ErrorCode]
    ERROR_RESOURCE_EXHAUSTED: _ClassVar[ErrorCode]
    ERROR_NETWORK_UNSTABLE: _ClassVar[ErrorCode]
    ERROR_UNKNOWN: _ClassVar[ErrorCode]
OUTCOME_UNSPECIFIED: FrameOutcome
OUTCOME_CODED: FrameOutcome
OUTCOME_SKIPPED: FrameOutcome
OUTCOME_DROPPED_RATE: FrameOutcome
OUTCOME_DROPPED_BACKLOG: FrameOutcome
OUTCOME_DROPPED_TIME: FrameOutcome
OUTCOME_FELL_BACK: FrameOutcome
OUTCOME_PASSED: FrameOutcome
FRAME_TYPE_UNKNOWN: FrameType
FRAME_TYPE_VIDEO: FrameType
FRAME_TYPE_AUDIO: FrameType
FRAME_TYPE_SCREEN: FrameType
FRAME_TYPE_DATA: FrameType
MODE_OFF: CompressionMode
MODE_CONSERVATIVE: CompressionMode
MODE_ADAPTIVE: CompressionMode
MODE_AGGRESSIVE: CompressionMode
STATUS_SUCCESS: CompressionStatus
STATUS_FALLBACK: CompressionStatus
STATUS_ERROR: CompressionStatus
STATUS_TIMEOUT: CompressionStatus
STATUS_QUALITY_THRESHOLD_NOT_MET: CompressionStatus
NETWORK_UNKNOWN: NetworkQuality
NETWORK_EXCELLENT: NetworkQuality
NETWORK_GOOD: NetworkQuality
NETWORK_FAIR: NetworkQuality
NETWORK_POOR: NetworkQuality
HEALTH_UNKNOWN: HealthStatus
HEALTH_HEALTHY: HealthStatus
HEALTH_DEGRADED: HealthStatus
HEALTH_UNHEALTHY: HealthStatus
ERROR_NONE: ErrorCode
ERROR_INVALID_INPUT: ErrorCode
ERROR_MODEL_NOT_LOADED: ErrorCode
ERROR_INFERENCE_TIMEOUT: ErrorCode
ERROR_INFERENCE_FAILED: ErrorCode
ERROR_QUALITY_TOO_LOW: ErrorCode
ERROR_RESOURCE_EXHAUSTED: ErrorCode
ERROR_NETWORK_UNSTABLE: ErrorCode
ERROR_UNKNOWN: ErrorCode

class CompressFrameRequest(_message.Message):
    __slots__ = ("session_id", "call_id", "participant_id", "frame_number", "timestamp_us", "frame_data", "frame_type", "metadata", "mode", "target_compression_ratio", "max_latency_ms", "network")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    CALL_ID_FIELD_NUMBER: _ClassVar[int]
    PARTICIPANT_ID_FIELD_NUMBER: _ClassVar[int]
    FRAME_NUMBER_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_US_FIELD_NUMBER: _ClassVar[int]
    FRAME_DATA_FIELD_NUMBER: _ClassVar[int]
    FRAME_TYPE_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    TARGET_COMPRESSION_RATIO_FIELD_NUMBER: _ClassVar[int]
    MAX_LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    call_id: str
    participant_id: str
    frame_number: int
    timestamp_us: int
    frame_data: bytes
    frame_type: FrameType
    metadata: FrameMetadata
    mode: CompressionMode
    target_compression_ratio: float
    max_latency_ms: int
    network: NetworkConditions
    def __init__(self, session_id: _Optional[str] = ..., call_id: _Optional[str] = ..., participant_id: _Optional[str] = ..., frame_number: _Optional[int] = ..., timestamp_us: _Optional[int] = ..., frame_data: _Optional[bytes] = ..., frame_type: _Optional[_Union[FrameType, str]] = ..., metadata: _Optional[_Union[FrameMetadata, _Mapping]] = ..., mode: _Optional[_Union[CompressionMode, str]] = ..., target_compression_ratio: _Optional[float] = ..., max_latency_ms: _Optional[int] = ..., network: _Optional[_Union[NetworkConditions, _Mapping]] = ...) -> None: ...

class CompressFrameResponse(_message.Message):
    __slots__ = ("status", "error_message", "compressed_data", "original_size_bytes", "compressed_size_bytes", "actual_compression_ratio", "ai_metadata", "performance", "fallback_used", "fallback_reason", "frame_number", "outcome")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ERROR_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    COMPRESSED_DATA_FIELD_NUMBER: _ClassVar[int]
    ORIGINAL_SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    COMPRESSED_SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    ACTUAL_COMPRESSION_RATIO_FIELD_NUMBER: _ClassVar[int]
    AI_METADATA_FIELD_NUMBER: _ClassVar[int]
    PERFORMANCE_FIELD_NUMBER: _ClassVar[int]
    FALLBACK_USED_FIELD_NUMBER: _ClassVar[int]
    FALLBACK_REASON_FIELD_NUMBER: _ClassVar[int]
    FRAME_NUMBER_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    status: CompressionStatus
    error_message: str
    compressed_data: bytes
    original_size_bytes: int
    compressed_size_bytes: int
    actual_compression_ratio: float
    ai_metadata: AIMetadata
    performance: PerformanceMetrics
    fallback_used: bool
    fallback_reason: str
    frame_number: int
    outcome: FrameOutcome
    def __init__(self, status: _Optional[_Union[CompressionStatus, str]] = ..., error_message: _Optional[str] = ..., compressed_data: _Optional[bytes] = ..., original_size_bytes: _Optional[int] = ..., compressed_size_bytes: _Optional[int] = ..., actual_compression_ratio: _Optional[float] = ..., ai_metadata: _Optional[_Union[AIMetadata, _Mapping]] = ..., performance: _Optional[_Union[PerformanceMetrics, _Mapping]] = ..., fallback_used: _Optional[bool] = ..., fallback_reason: _Optional[str] = ..., frame_number: _Optional[int] = ..., outcome: _Optional[_Union[FrameOutcome, str]] = ...) -> None: ...

class DecompressRequest(_message.Message):
    __slots__ = ("session_id", "frame_number", "frame_type", "compressed_data")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    FRAME_NUMBER_FIELD_NUMBER: _ClassVar[int]
    FRAME_TYPE_FIELD_NUMBER: _ClassVar[int]
    COMPRESSED_DATA_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    frame_number: int
    frame_type: FrameType
    compressed_data: bytes
    def __init__(self, session_id: _Optional[str] = ..., frame_number: _Optional[int] = ..., frame_type: _Optional[_Union[FrameType, str]] = ..., compressed_data: _Optional[bytes] = ...) -> None: ...

class DecompressResponse(_message.Message):
    __slots__ = ("status", "error_message", "frame_number", "frames", "need_key")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ERROR_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    FRAME_NUMBER_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    NEED_KEY_FIELD_NUMBER: _ClassVar[int]
    status: CompressionStatus
    error_message: str
    frame_number: int
    frames: _containers.RepeatedCompositeFieldContainer[DecodedFrame]
    need_key: bool
    def __init__(self, status: _Optional[_Union[CompressionStatus, str]] = ..., error_message: _Optional[str] = ..., frame_number: _Optional[int] = ..., frames: _Optional[_Iterable[_Union[DecodedFrame, _Mapping]]] = ..., need_key: _Optional[bool] = ...) -> None: ...

class DecodedFrame(_message.Message):
    __slots__ = ("frame_data", "metadata", "timestamp_us", "repeated", "restored")
    FRAME_DATA_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_US_FIELD_NUMBER: _ClassVar[int]
    REPEATED_FIELD_NUMBER: _ClassVar[int]
    RESTORED_FIELD_NUMBER: _ClassVar[int]
    frame_data: bytes
    metadata: FrameMetadata
    timestamp_us: int
    repeated: bool
    restored: bool
    def __init__(self, frame_data: _Optional[bytes] = ..., metadata: _Optional[_Union[FrameMetadata, _Mapping]] = ..., timestamp_us: _Optional[int] = ..., repeated: _Optional[bool] = ..., restored: _Optional[bool] = ...) -> None: ...

class CompressionHintRequest(_message.Message):
    __slots__ = ("session_id", "metadata", "network", "mode")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    metadata: FrameMetadata
    network: NetworkConditions
    mode: CompressionMode
    def __init__(self, session_id: _Optional[str] = ..., metadata: _Optional[_Union[FrameMetadata, _Mapping]] = ..., network: _Optional[_Union[NetworkConditions, _Mapping]] = ..., mode: _Optional[_Union[CompressionMode, str]] = ...) -> None: ...

class CompressionHintResponse(_message.Message):
    __slots__ = ("recommended_compression_ratio", "predicted_quality_score", "predicted_latency_ms", "recommended_codec", "hints", "confidence_score")
    class HintsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    RECOMMENDED_COMPRESSION_RATIO_FIELD_NUMBER: _ClassVar[int]
    PREDICTED_QUALITY_SCORE_FIELD_NUMBER: _ClassVar[int]
    PREDICTED_LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    RECOMMENDED_CODEC_FIELD_NUMBER: _ClassVar[int]
    HINTS_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_SCORE_FIELD_NUMBER: _ClassVar[int]
    recommended_compression_ratio: float
    predicted_quality_score: float
    predicted_latency_ms: int
    recommended_codec: str
    hints: _containers.ScalarMap[str, float]
    confidence_score: float
    def __init__(self, recommended_compression_ratio: _Optional[float] = ..., predicted_quality_score: _Optional[float] = ..., predicted_latency_ms: _Optional[int] = ..., recommended_codec: _Optional[str] = ..., hints: _Optional[_Mapping[str, float]] = ..., confidence_score: _Optional[float] = ...) -> None: ...

class NetworkAnalysisRequest(_message.Message):
    __slots__ = ("session_id", "samples", "analysis_window_seconds")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    ANALYSIS_WINDOW_SECONDS_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    samples: _containers.RepeatedCompositeFieldContainer[NetworkSample]
    analysis_window_seconds: int
    def __init__(self, session_id: _Optional[str] = ..., samples: _Optional[_Iterable[_Union[NetworkSample, _Mapping]]] = ..., analysis_window_seconds: _Optional[int] = ...) -> None: ...

class NetworkAnalysisResponse(_message.Message):
    __slots__ = ("available_bandwidth_kbps", "predicted_bandwidth_kbps", "network_stability_score", "quality", "recommendation", "enable_aggressive_compression")
    AVAILABLE_BANDWIDTH_KBPS_FIELD_NUMBER: _ClassVar[int]
    PREDICTED_BANDWIDTH_KBPS_FIELD_NUMBER: _ClassVar[int]
    NETWORK_STABILITY_SCORE_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    RECOMMENDATION_FIELD_NUMBER: _ClassVar[int]
    ENABLE_AGGRESSIVE_COMPRESSION_FIELD_NUMBER: _ClassVar[int]
    available_bandwidth_kbps: float
    predicted_bandwidth_kbps: float
    network_stability_score: float
    quality: NetworkQuality
    recommendation: str
    enable_aggressive_compression: bool
    def __init__(self, available_bandwidth_kbps: _Optional[float] = ..., predicted_bandwidth_kbps: _Optional[float] = ..., network_stability_score: _Optional[float] = ..., quality: _Optional[_Union[NetworkQuality, str]] = ..., recommendation: _Optional[str] = ..., enable_aggressive_compression: _Optional[bool] = ...) -> None: ...

class HealthCheckRequest(_message.Message):
    __slots__ = ("service_name",)
    SERVICE_NAME_FIELD_NUMBER: _ClassVar[int]
    service_name: str
    def __init__(self, service_name: _Optional[str] = ...) -> None: ...

class HealthCheckResponse(_message.Message):
    __slots__ = ("status", "version", "uptime_seconds", "resources", "model_status")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    UPTIME_SECONDS_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    MODEL_STATUS_FIELD_NUMBER: _ClassVar[int]
    status: HealthStatus
    version: str
    uptime_seconds: int
    resources: ResourceUsage
    model_status: ModelStatus
    def __init__(self, status: _Optional[_Union[HealthStatus, str]] = ..., version: _Optional[str] = ..., uptime_seconds: _Optional[int] = ..., resources: _Optional[_Union[ResourceUsage, _Mapping]] = ..., model_status: _Optional[_Union[ModelStatus, _Mapping]] = ...) -> None: ...

class FrameMetadata(_message.Message):
    __slots__ = ("width", "height", "fps", "codec", "resolution_class", "sample_rate", "channels", "bitrate_kbps", "is_keyframe", "pts", "dts")
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    FPS_FIELD_NUMBER: _ClassVar[int]
    CODEC_FIELD_NUMBER: _ClassVar[int]
    RESOLUTION_CLASS_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_RATE_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    BITRATE_KBPS_FIELD_NUMBER: _ClassVar[int]
    IS_KEYFRAME_FIELD_NUMBER: _ClassVar[int]
    PTS_FIELD_NUMBER: _ClassVar[int]
    DTS_FIELD_NUMBER: _ClassVar[int]
    width: int
    height: int
    fps: int
    codec: str
    resolution_class: str
    sample_rate: int
    channels: int
    bitrate_kbps: int
    is_keyframe: bool
    pts: int
    dts: int
    def __init__(self, width: _Optional[int] = ..., height: _Optional[int] = ..., fps: _Optional[int] = ..., codec: _Optional[str] = ..., resolution_class: _Optional[str] = ..., sample_rate: _Optional[int] = ..., channels: _Optional[int] = ..., bitrate_kbps: _Optional[int] = ..., is_keyframe: _Optional[bool] = ..., pts: _Optional[int] = ..., dts: _Optional[int] = ...) -> None: ...

class NetworkConditions(_message.Message):
    __slots__ = ("available_bandwidth_kbps", "rtt_ms", "packet_loss_percent", "jitter_ms", "connection_type")
    AVAILABLE_BANDWIDTH_KBPS_FIELD_NUMBER: _ClassVar[int]
    RTT_MS_FIELD_NUMBER: _ClassVar[int]
    PACKET_LOSS_PERCENT_FIELD_NUMBER: _ClassVar[int]
    JITTER_MS_FIELD_NUMBER: _ClassVar[int]
    CONNECTION_TYPE_FIELD_NUMBER: _ClassVar[int]
    available_bandwidth_kbps: int
    rtt_ms: int
    packet_loss_percent: float
    jitter_ms: float
    connection_type: str
    def __init__(self, available_bandwidth_kbps: _Optional[int] = ..., rtt_ms: _Optional[int] = ..., packet_loss_percent: _Optional[float] = ..., jitter_ms: _Optional[float] = ..., connection_type: _Optional[str] = ...) -> None: ...

class AIMetadata(_message.Message):
    __slots__ = ("model_type", "model_version", "compression_ratio", "quality_score", "confidence", "inference_timestamp_us", "custom_hints", "psnr_db", "ssim")
    class CustomHintsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    MODEL_TYPE_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    COMPRESSION_RATIO_FIELD_NUMBER: _ClassVar[int]
    QUALITY_SCORE_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_TIMESTAMP_US_FIELD_NUMBER: _ClassVar[int]
    CUSTOM_HINTS_FIELD_NUMBER: _ClassVar[int]
    PSNR_DB_FIELD_NUMBER: _ClassVar[int]
    SSIM_FIELD_NUMBER: _ClassVar[int]
    model_type: str
    model_version: str
    compression_ratio: float
    quality_score: float
    confidence: float
    inference_timestamp_us: int
    custom_hints: _containers.ScalarMap[str, float]
    psnr_db: float
    ssim: float
    def __init__(self, model_type: _Optional[str] = ..., model_version: _Optional[str] = ..., compression_ratio: _Optional[float] = ..., quality_score: _Optional[float] = ..., confidence: _Optional[float] = ..., inference_timestamp_us: _Optional[int] = ..., custom_hints: _Optional[_Mapping[str, float]] = ..., psnr_db: _Optional[float] = ..., ssim: _Optional[float] = ...) -> None: ...

class PerformanceMetrics(_message.Message):
    __slots__ = ("inference_latency_ms", "preprocessing_ms", "model_inference_ms", "postprocessing_ms", "total_latency_ms", "gpu_utilization_percent", "memory_used_mb", "cpu_utilization_percent")
    INFERENCE_LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    PREPROCESSING_MS_FIELD_NUMBER: _ClassVar[int]
    MODEL_INFERENCE_MS_FIELD_NUMBER: _ClassVar[int]
    POSTPROCESSING_MS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    GPU_UTILIZATION_PERCENT_FIELD_NUMBER: _ClassVar[int]
    MEMORY_USED_MB_FIELD_NUMBER: _ClassVar[int]
    CPU_UTILIZATION_PERCENT_FIELD_NUMBER: _ClassVar[int]
    inference_latency_ms: int
    preprocessing_ms: int
    model_inference_ms: int
    postprocessing_ms: int
    total_latency_ms: int
    gpu_utilization_percent: float
    memory_used_mb: int
    cpu_utilization_percent: float
    def __init__(self, inference_latency_ms: _Optional[int] = ..., preprocessing_ms: _Optional[int] = ..., model_inference_ms: _Optional[int] = ..., postprocessing_ms: _Optional[int] = ..., total_latency_ms: _Optional[int] = ..., gpu_utilization_percent: _Optional[float] = ..., memory_used_mb: _Optional[int] = ..., cpu_utilization_percent: _Optional[float] = ...) -> None: ...

class NetworkSample(_message.Message):
    __slots__ = ("timestamp_us", "bandwidth_kbps", "rtt_ms", "packet_loss_percent")
    TIMESTAMP_US_FIELD_NUMBER: _ClassVar[int]
    BANDWIDTH_KBPS_FIELD_NUMBER: _ClassVar[int]
    RTT_MS_FIELD_NUMBER: _ClassVar[int]
    PACKET_LOSS_PERCENT_FIELD_NUMBER: _ClassVar[int]
    timestamp_us: int
    bandwidth_kbps: int
    rtt_ms: int
    packet_loss_percent: float
    def __init__(self, timestamp_us: _Optional[int] = ..., bandwidth_kbps: _Optional[int] = ..., rtt_ms: _Optional[int] = ..., packet_loss_percent: _Optional[float] = ...) -> None: ...

class ResourceUsage(_message.Message):
    __slots__ = ("cpu_percent", "memory_percent", "gpu_percent", "active_sessions", "total_frames_processed")
    CPU_PERCENT_FIELD_NUMBER: _ClassVar[int]
    MEMORY_PERCENT_FIELD_NUMBER: _ClassVar[int]
    GPU_PERCENT_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_SESSIONS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FRAMES_PROCESSED_FIELD_NUMBER: _ClassVar[int]
    cpu_percent: float
    memory_percent: float
    gpu_percent: float
    active_sessions: int
    total_frames_processed: int
    def __init__(self, cpu_percent: _Optional[float] = ..., memory_percent: _Optional[float] = ..., gpu_percent: _Optional[float] = ..., active_sessions: _Optional[int] = ..., total_frames_processed: _Optional[int] = ...) -> None: ...

class ModelStatus(_message.Message):
    __slots__ = ("model_type", "version", "loaded", "gpu_available", "inference_queue_length", "avg_inference_ms")
    MODEL_TYPE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    LOADED_FIELD_NUMBER: _ClassVar[int]
    GPU_AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_QUEUE_LENGTH_FIELD_NUMBER: _ClassVar[int]
    AVG_INFERENCE_MS_FIELD_NUMBER: _ClassVar[int]
    model_type: str
    version: str
    loaded: bool
    gpu_available: bool
    inference_queue_length: int
    avg_inference_ms: float
    def __init__(self, model_type: _Optional[str] = ..., version: _Optional[str] = ..., loaded: _Optional[bool] = ..., gpu_available: _Optional[bool] = ..., inference_queue_length: _Optional[int] = ..., avg_inference_ms: _Optional[float] = ...) -> None: ...

class ErrorDetails(_message.Message):
    __slots__ = ("code", "message", "detail", "metadata")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    code: ErrorCode
    message: str
    detail: str
    metadata: _containers.ScalarMap[str, str]
    def __init__(self, code: _Optional[_Union[ErrorCode, str]] = ..., message: _Optional[str] = ..., detail: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ...) -> None: ...
