"""A network ready to run: the one place where ONNX Runtime is set up and called.

::

    Model, sizes --open_runner--> Runner --run(inputs)--> outputs
                       |                        |
                       provider, options        limit of time

Everything else sees `Runner`.  The shapes of a runner are fixed when it is opened: ONNX Runtime
then plans its memory once, and its arena cannot grow with every new size of picture.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias, final

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from auralink.models.deadlines import Deadlines
from auralink.models.errors import RefusedModel, RunFailed, RunLate
from auralink.models.providers import Provider

Array: TypeAlias = npt.NDArray[Any]
Arrays: TypeAlias = Mapping[str, Array]

_ORT_ERRORS: Final = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
    RuntimeError,  # of a run with bound arrays
    ValueError,  # of binding
)
_DTYPES: Final[Mapping[str, npt.DTypeLike]] = {
    "tensor(float)": np.float32,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
}


class Runner(Protocol):
    """One network for one set of shapes.  Threads may share it."""

    @property
    def provider(self) -> str:
        """What computes, as ONNX Runtime calls it."""
        ...

    def run(self, inputs: Arrays, *, limit_s: float | None = None) -> dict[str, Array]:
        """Compute the outputs, by name.  They belong to the caller.

        Args:
            inputs: C-contiguous, of the shapes and types of this runner.
            limit_s: after this the run is ended.

        Raises:
            RunFailed: ONNX Runtime refused the inputs, or failed.
            RunLate: the limit passed.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Output:
    name: str
    shape: tuple[int, ...]
    dtype: npt.DTypeLike


def open_runner(
    content: bytes,
    sizes: Mapping[str, int],
    providers: Sequence[Provider],
    deadlines: Deadlines,
) -> Runner:
    """A runner on the first provider that works.

    Args:
        content: an ONNX file, checked.
        sizes: the length of every side that the file gives by name.

    Raises:
        RefusedModel: ONNX Runtime does not take the file, or a side of an output stays open.
    """
    refusals = []
    for provider in providers:
        try:
            session = ort.InferenceSession(
                content,
                _options(sizes),
                providers=[provider.name],
                provider_options=[dict(provider.options)],
            )
        except _ORT_ERRORS as exc:
            refusals.append(f"{provider.name}: {_first_line(exc)}")
            continue
        if session.get_providers()[0] == provider.name:
            return OnnxRunner(session, deadlines)
        refusals.append(f"{provider.name}: not started")
    raise RefusedModel("; ".join(refusals))


def _options(sizes: Mapping[str, int]) -> ort.SessionOptions:
    """How sessions are set up, each line with its reason.

    Figures are those of restore-s in 8 bits at 1280x720 on one core.
    """
    options = ort.SessionOptions()
    # Workers are processes, one per core: threads inside would take each other's core, and spin on
    # it while there is nothing to do.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # The arena stays: without it a run takes 18 ms in the place of 14.  Its blocks are freed with
    # the session, and fixed shapes bound them.
    options.enable_cpu_mem_arena = True
    # One block for a whole run is 25 MB more than tensor by tensor (61 and 36 MB), and not faster.
    options.enable_mem_pattern = False
    # A failure is an exception and counted: only what ends the process is worth a line on stderr.
    options.log_severity_level = 4
    for name, length in sizes.items():
        options.add_free_dimension_override_by_name(name, length)
    return options


@final
class OnnxRunner:
    """A session of ONNX Runtime.

    Freeing a session that runs crashes the process; here every call holds `self` and thereby the
    session, so the last one that ends frees it.
    """

    def __init__(self, session: ort.InferenceSession, deadlines: Deadlines) -> None:
        self._session = session
        self._deadlines = deadlines
        self._outputs = [_output(port) for port in session.get_outputs()]

    @property
    def provider(self) -> str:
        name: str = self._session.get_providers()[0]
        return name

    def run(self, inputs: Arrays, *, limit_s: float | None = None) -> dict[str, Array]:
        """See `Runner.run`."""
        outputs = {port.name: np.empty(port.shape, port.dtype) for port in self._outputs}
        try:
            # A binding of its own for every run: threads do not wait for each other, and what is
            # computed is written to where it stays.
            binding = self._session.io_binding()
            for name, array in inputs.items():
                binding.bind_cpu_input(name, array)
            for name, array in outputs.items():
                binding.bind_output(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
            with self._deadlines.within(limit_s) as options:
                try:
                    self._session.run_with_iobinding(binding, options)
                except _ORT_ERRORS as exc:
                    if options.terminate:
                        raise RunLate(f"ended after its limit of {limit_s:g} s") from exc
                    raise
        except _ORT_ERRORS as exc:
            raise RunFailed(_first_line(exc)) from exc
        return outputs


def _output(port: Any) -> _Output:
    if not all(isinstance(side, int) for side in port.shape) or port.type not in _DTYPES:
        raise RefusedModel(f"output {port.name} is {port.type} {port.shape}: a side is not fixed")
    return _Output(name=port.name, shape=tuple(port.shape), dtype=_DTYPES[port.type])


def _first_line(exc: Exception) -> str:
    return str(exc).partition("\n")[0]
