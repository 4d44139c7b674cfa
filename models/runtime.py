"""Serves a codec's `Networks` with ONNX Runtime.

One session per picture size: with fixed sides ONNX Runtime plans its memory once.  Sessions are
made when a size is first seen and the `MAX_SIZES` last used are kept, so that a stream that keeps
changing its size costs time but not memory.

Nothing here raises on what a stream or a picture brings: a picture that cannot be restored is None,
counted by its `Fault`, and the caller shows the upscaled one.
"""

import threading
from collections import Counter, OrderedDict
from collections.abc import Mapping
from types import MappingProxyType
from typing import Self

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from auralink.codecs.frame import Plane
from auralink.codecs.video.protocol import Hidden, Restoration
from auralink.models.errors import ModelError
from auralink.models.guard import Fault, judge
from auralink.models.manifest import Precision
from auralink.models.store import Model, Store

RESTORE_S = "restore-s"  # id 1
GRID = 4  # the network works on blocks of 4x4
MAX_SIZES = 4  # portrait and landscape, before and after a change of size
ORT_ERRORS = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)


class OnnxNetworks:
    """`Networks` of one model.  Threads may share it; each call computes on the caller's thread."""

    def __init__(self, model: Model | None, *, fault: str = "") -> None:
        """
        Args:
            model: checked weights; None makes an object that restores nothing.
            fault: why there is no model.
        """
        self._model = model
        self._fault = fault
        self._sessions: OrderedDict[tuple[int, int], ort.InferenceSession] = OrderedDict()
        self._lock = threading.Lock()
        self._faults: Counter[Fault] = Counter()

    @classmethod
    def open(cls, store: Store, key: int | str, precision: Precision = "int8") -> Self:
        """Of the model with that id or name; see `fault` if there is none to be used."""
        try:
            return cls(store.load(key, precision))
        except ModelError as exc:
            return cls(None, fault=str(exc))

    @property
    def model_id(self) -> int:
        return self._model.entry.id if self._model else 0

    @property
    def fault(self) -> str:
        """Why there is no model; empty if there is one."""
        return self._fault

    @property
    def faults(self) -> Mapping[Fault, int]:
        """How many pictures were not restored, by cause."""
        return MappingProxyType(self._faults)

    def restore(
        self,
        current: Plane,
        previous_output: Plane,
        hidden: Hidden | None,
        *,
        quantizer: int,
        scale: float,
        reference: bool,
    ) -> Restoration | None:
        """See `Networks.restore`.

        Sides that are no multiples of 4 are extended by repeating the last row and column; the
        state then has ``ceil(h / 4) x ceil(w / 4)`` places.
        """
        side = np.array([[quantizer, scale, reference]], np.float32)
        made = self._attempt(current, previous_output, hidden, side)
        if isinstance(made, Restoration):
            return made
        with self._lock:
            self._faults[made] += 1
        return None

    def _attempt(
        self,
        current: Plane,
        previous_output: Plane,
        hidden: Hidden | None,
        side: npt.NDArray[np.float32],
    ) -> Restoration | Fault:
        if self._model is None:
            return Fault.NO_MODEL
        height, width = current.shape
        rows, columns = -(-height // GRID), -(-width // GRID)
        state_spec = self._model.entry.outputs[1]
        state_shape = (1, int(state_spec.shape[1]), rows, columns)
        if hidden is None:
            hidden = np.zeros(state_shape, np.float32)
        if previous_output.shape != current.shape or hidden.shape != state_shape:
            return Fault.INPUT
        feeds = {
            "current": _padded(current, rows, columns),
            "previous_output": _padded(previous_output, rows, columns),
            "hidden": np.ascontiguousarray(hidden, np.float32),
            "side": side,
        }
        try:
            made, state = self._session(self._model, rows, columns).run(None, feeds)
        except ORT_ERRORS:
            return Fault.RUNTIME
        luma = np.ascontiguousarray(made[0, 0, :height, :width])
        wrong = judge(current, luma, state, state_shape=state_shape, state=state_spec)
        return wrong or Restoration(luma=luma, hidden=state)

    def warm_up(self, width: int, height: int) -> bool:
        """Make the session of a size before its first frame; False if this model cannot serve."""
        grey = np.full((height, width), 128, np.uint8)
        made = self.restore(grey, grey, None, quantizer=128, scale=0.5, reference=True)
        return made is not None

    def _session(self, model: Model, rows: int, columns: int) -> ort.InferenceSession:
        with self._lock:
            session = self._sessions.pop((rows, columns), None)
            if session is None:
                session = open_session(model.content, rows, columns)
            self._sessions[rows, columns] = session
            if len(self._sessions) > MAX_SIZES:
                self._sessions.popitem(last=False)
        return session


def open_networks(key: int | str = RESTORE_S, precision: Precision = "int8") -> OnnxNetworks:
    """Networks of the weights that come with the package.  Never raises: see `OnnxNetworks.fault`.

    8 bits are the default: half the time of floats at the same quality.
    """
    try:
        store = Store.bundled()
    except ModelError as exc:
        return OnnxNetworks(None, fault=str(exc))
    return OnnxNetworks.open(store, key, precision)


def open_session(content: bytes, rows: int, columns: int) -> ort.InferenceSession:
    """A session for pictures of ``4 * columns x 4 * rows``, on one thread.

    Workers are processes, one per core: threads inside would only take each other's core, and
    spinning ones would do so while there is nothing to do.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # fatal only: a failure is an exception and counted
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    sides = {"height": rows * GRID, "width": columns * GRID, "rows": rows, "columns": columns}
    for name, length in sides.items():
        options.add_free_dimension_override_by_name(name, length)
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _padded(plane: Plane, rows: int, columns: int) -> npt.NDArray[np.uint8]:
    """``uint8 (1, 1, 4 * rows, 4 * columns)``."""
    below, right = rows * GRID - plane.shape[0], columns * GRID - plane.shape[1]
    if below or right:
        plane = np.pad(plane, ((0, below), (0, right)), mode="edge")
    return np.ascontiguousarray(plane)[None, None]
