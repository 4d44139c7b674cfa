"""Where networks compute: the processor, or a GPU where ONNX Runtime has one.

A package of ONNX Runtime lists what it was built with, not what the machine has: a provider that
cannot start is found when a session is opened, which then takes the next candidate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from auralink.models.errors import RefusedModel

Wish: TypeAlias = Literal["auto", "cpu", "cuda"]

CPU: Final = "CPUExecutionProvider"
CUDA: Final = "CUDAExecutionProvider"

# Source: https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html.  The arena
# must not double itself, and the default exhaustive search of convolutions would take seconds at
# the first frame of every size.
_CUDA_OPTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "arena_extend_strategy": "kSameAsRequested",
        "cudnn_conv_algo_search": "HEURISTIC",
        "gpu_mem_limit": str(1 << 30),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A candidate, and why it is one."""

    name: str  # as ONNX Runtime calls it
    why: str
    options: Mapping[str, str] = field(default_factory=dict, repr=False)


def choose(available: Sequence[str], wish: Wish = "auto") -> tuple[Provider, ...]:
    """The candidates, best first.

    Args:
        available: what ONNX Runtime lists.
        wish: "auto" takes a GPU if there is one and the processor otherwise; "cuda" nothing else.

    Raises:
        RefusedModel: "cuda" is wished for and this package has none.
    """
    if wish == "cpu":
        return (Provider(name=CPU, why="asked for"),)
    cpu = Provider(name=CPU, why="no GPU in this package of ONNX Runtime")
    if CUDA not in available:
        if wish == "cuda":
            error = RefusedModel("no CUDA in this package of ONNX Runtime")
            error.add_note("install onnxruntime-gpu in the place of onnxruntime, or wish for cpu")
            raise error
        return (cpu,)
    why = "asked for" if wish == "cuda" else "there, and faster than the processor"
    gpu = Provider(name=CUDA, why=why, options=_CUDA_OPTIONS)
    if wish == "cuda":
        return (gpu,)
    return gpu, Provider(name=CPU, why="the GPU could not be started")
