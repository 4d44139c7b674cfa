"""Serves a codec's `Networks` with ONNX Runtime.

One runner per picture size, made when the size is first seen; the `MAX_SIZES` last used are kept,
so that a stream that keeps changing its size costs time but not memory.

Nothing here raises on what a stream or a picture brings: a picture that cannot be restored is None,
counted by its `Fault`, and the caller shows the upscaled one.
"""

import threading
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Self

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from auralink.codecs.frame import Plane
from auralink.codecs.video.protocol import Hidden, Restoration
from auralink.models.deadlines import Deadlines
from auralink.models.errors import ModelError, RunLate
from auralink.models.guard import Fault, judge
from auralink.models.manifest import Precision
from auralink.models.providers import Provider, Wish, choose
from auralink.models.session import Array, Runner, open_runner
from auralink.models.store import Model, Store

RESTORE_S = "restore-s"  # id 1
GRID = 4  # the network works on blocks of 4x4
MAX_SIZES = 4  # portrait and landscape, before and after a change of size


class OnnxNetworks:
    """`Networks` of one model.  Threads may share it; each call computes on the caller's thread."""

    def __init__(
        self,
        model: Model | None,
        *,
        fault: str = "",
        providers: Sequence[Provider] | None = None,
        limit_s: float | None = None,
    ) -> None:
        """
        Args:
            model: checked weights; None makes an object that restores nothing.
            fault: why there is no model.
            providers: where to compute, best first; None: what `choose` finds here.
            limit_s: a run that takes longer is ended, and its picture stays as it was.
        """
        self._model = model
        self._fault = fault
        self._providers = choose(ort.get_available_providers()) if providers is None else providers
        self._limit_s = limit_s
        self._deadlines = Deadlines()
        self._runners: OrderedDict[tuple[int, int], Runner] = OrderedDict()
        self._lock = threading.Lock()
        self._faults: Counter[Fault] = Counter()

    @classmethod
    def open(
        cls,
        store: Store,
        key: int | str,
        precision: Precision = "int8",
        *,
        wish: Wish = "auto",
        limit_s: float | None = None,
    ) -> Self:
        """Of the model with that id or name; see `fault` if there is none to be used."""
        try:
            providers = choose(ort.get_available_providers(), wish)
            return cls(store.load(key, precision), providers=providers, limit_s=limit_s)
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

    @property
    def provider(self) -> str:
        """What computed last, as ONNX Runtime calls it; empty before the first picture."""
        with self._lock:
            return next(reversed(self._runners.values())).provider if self._runners else ""

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
        feeds: dict[str, Array] = {
            "current": _padded(current, rows, columns),
            "previous_output": _padded(previous_output, rows, columns),
            "hidden": np.ascontiguousarray(hidden, np.float32),
            "side": side,
        }
        try:
            outputs = self._runner(self._model, rows, columns).run(feeds, limit_s=self._limit_s)
        except RunLate:
            return Fault.LATE
        except ModelError:
            return Fault.RUNTIME
        made, state = (outputs[spec.name] for spec in self._model.entry.outputs)
        luma = np.ascontiguousarray(made[0, 0, :height, :width])
        wrong = judge(current, luma, state, state_shape=state_shape, state=state_spec)
        return wrong or Restoration(luma=luma, hidden=state)

    def warm_up(self, width: int, height: int) -> bool:
        """Make the session of a size before its first frame, unless it is there; False if this
        model cannot serve.
        """
        if (-(-width // GRID) * GRID, -(-height // GRID) * GRID) in self.sizes():
            return True
        grey = np.full((height, width), 128, np.uint8)
        made = self.restore(grey, grey, None, quantizer=128, scale=0.5, reference=True)
        return made is not None

    def sizes(self) -> list[tuple[int, int]]:
        """Width and height of the pictures for which there are sessions, in whole blocks."""
        with self._lock:
            return [(columns * GRID, rows * GRID) for rows, columns in self._runners]

    def _runner(self, model: Model, rows: int, columns: int) -> Runner:
        sizes = {
            "height": rows * GRID,
            "width": columns * GRID,
            "rows": rows,
            "columns": columns,
        }
        opened: Runner | None = None
        while True:
            with self._lock:
                runner = self._runners.pop((rows, columns), None) or opened
                if runner is not None:
                    self._runners[rows, columns] = runner
                    if len(self._runners) > MAX_SIZES:
                        self._runners.popitem(last=False)
                    return runner
            # Without the lock: pictures of other sizes must not wait.  Of two threads that make the
            # same one the first wins.
            opened = open_runner(model.content, sizes, self._providers, self._deadlines)


def open_networks(
    key: int | str = RESTORE_S,
    precision: Precision = "int8",
    *,
    wish: Wish = "auto",
    limit_s: float | None = None,
) -> OnnxNetworks:
    """Networks of the weights that come with the package.  Never raises: see `OnnxNetworks.fault`.

    8 bits are the default: half the time of floats at the same quality.
    """
    try:
        store = Store.bundled()
    except ModelError as exc:
        return OnnxNetworks(None, fault=str(exc))
    return OnnxNetworks.open(store, key, precision, wish=wish, limit_s=limit_s)


def _padded(plane: Plane, rows: int, columns: int) -> npt.NDArray[np.uint8]:
    """``uint8 (1, 1, 4 * rows, 4 * columns)``."""
    below, right = rows * GRID - plane.shape[0], columns * GRID - plane.shape[1]
    if below or right:
        plane = np.pad(plane, ((0, below), (0, right)), mode="edge")
    return np.ascontiguousarray(plane)[None, None]
