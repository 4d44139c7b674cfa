"""A model that is replaced while it serves: no frame lost, and never by something worse.

::

    swap(entry) -- load: hash, ports, size -- golden vectors -- later swap came first? --+
         |               | no                    | no                | yes               | live
         |               v                       v                   v                   v
         |          ModelError, as it was said; the version before goes on        generation + 1

    restore() ---- lease ---- networks of one generation ---- end of lease
                                   the last lease of an old generation frees its sessions

Swaps may come from several threads.  The one that was *asked for* last wins, if it is good; which
one was checked first does not matter.
"""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, final

import numpy as np
import numpy.typing as npt

from auralink.codecs.frame import Plane
from auralink.codecs.video.protocol import Hidden, Networks, Restoration
from auralink.models.errors import ModelError, SwapRefused, UnknownModel
from auralink.models.manifest import Entry
from auralink.models.runtime import OnnxNetworks
from auralink.models.store import load
from auralink.models.verify import check

Prepare = Callable[[Entry], Networks]


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveStatistics:
    label: str  # of the model that serves; empty if there is none
    version: str
    generation: int  # counts swaps that went live; 0 before the first model
    swaps: int  # that went live
    refused: int  # that did not
    last_refusal: str  # why the last one did not
    leases: int  # calls that run now
    draining: int  # generations that are kept by a call that still runs


@dataclass(slots=True)
class _Generation:
    number: int
    entry: Entry
    networks: Networks
    leases: int = 0


@dataclass(slots=True)
class _Counts:
    swaps: int = 0
    refused: int = 0
    last_refusal: str = ""
    old: list[_Generation] = field(default_factory=list)  # that still have leases


def prepare(entry: Entry, limit_s: float | None = None) -> Networks:
    """Load a model and prove that it computes here what it did where it was made.

    Args:
        limit_s: of each run, see `OnnxNetworks`.

    Raises:
        ModelError: what is wrong with it.
    """
    networks = OnnxNetworks(load(entry), limit_s=limit_s)
    check(entry, networks)
    return networks


@final
class LiveModel:
    """`Networks` whose weights can be exchanged at any time, from any thread.

    Args:
        prepare: makes networks of an entry, or says why not.
    """

    def __init__(self, prepare: Prepare = prepare) -> None:
        self._prepare = prepare
        self._lock = threading.Lock()
        self._asked = itertools.count(1)
        self._newest_live = 0  # number of the request that is live
        self._current: _Generation | None = None
        self._closed = False
        self._counts = _Counts()

    @property
    def model_id(self) -> int:
        current = self._current
        return current.networks.model_id if current else 0

    @property
    def entry(self) -> Entry | None:
        """What serves now."""
        current = self._current
        return current.entry if current else None

    def swap(self, entry: Entry) -> int:
        """Check a model, then let it serve.  Calls that run end with the one they began with.

        Returns:
            The generation that serves now.

        Raises:
            ModelError: as it was said; what served before goes on.
            SwapRefused: a swap that was asked for later is live already, or the model is closed.
        """
        number = next(self._asked)
        try:
            self._expect_open()
            networks = self._prepare(entry)
            self._warm(networks)
            return self._go_live(number, entry, networks)
        except ModelError as error:
            with self._lock:
                self._counts.refused += 1
                self._counts.last_refusal = str(error)
            raise

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

        A state that another generation left is not used: the network starts as after a key.
        """
        with self._lease() as generation:
            if generation is None:
                return None
            if hidden is not None and _generation_of(hidden) != generation.number:
                previous_output, hidden = current, None
            made = generation.networks.restore(
                current,
                previous_output,
                hidden,
                quantizer=quantizer,
                scale=scale,
                reference=reference,
            )
        if made is None:
            return None
        return Restoration(luma=made.luma, hidden=_marked(made.hidden, generation.number))

    def warm_up(self, width: int, height: int) -> bool:
        """Make the session of a size before its first picture, unless it is there."""
        with self._lease() as generation:
            if generation is None or not isinstance(generation.networks, OnnxNetworks):
                return False
            return generation.networks.warm_up(width, height)

    def probe(self) -> int:
        """Run the golden vectors of the model that serves.

        Returns:
            Microseconds that a frame took.

        Raises:
            UnknownModel: none serves.
            ModelError: it does not compute what it should.
        """
        with self._lease() as generation:
            if generation is None:
                raise UnknownModel("no model serves")
            return check(generation.entry, generation.networks)

    def statistics(self) -> LiveStatistics:
        with self._lock:
            current, counts = self._current, self._counts
            return LiveStatistics(
                label=current.entry.label if current else "",
                version=current.entry.version if current else "",
                generation=current.number if current else 0,
                swaps=counts.swaps,
                refused=counts.refused,
                last_refusal=counts.last_refusal,
                leases=(current.leases if current else 0) + sum(old.leases for old in counts.old),
                draining=len(counts.old),
            )

    def close(self) -> None:
        """Serve no more, and take no more swaps.  Calls that run end as usual."""
        with self._lock:
            self._closed = True
            self._retire()

    def _warm(self, networks: Networks) -> None:
        """Make the sessions of the sizes in use now, so that no frame has to wait for them."""
        with self._lease() as before:
            if before is None or not isinstance(networks, OnnxNetworks):
                return
            if isinstance(before.networks, OnnxNetworks):
                for width, height in before.networks.sizes():
                    networks.warm_up(width, height)

    def _go_live(self, number: int, entry: Entry, networks: Networks) -> int:
        with self._lock:
            if self._closed:
                raise SwapRefused(f"{entry.label} {entry.version}: closed in the meantime")
            if number < self._newest_live:
                raise SwapRefused(
                    f"{entry.label} {entry.version}: a swap that was asked for later is live"
                )
            self._retire()
            self._newest_live = number
            self._counts.swaps += 1
            self._current = _Generation(self._counts.swaps, entry, networks)
            return self._current.number

    def _retire(self) -> None:
        """Under the lock: let go of what serves, unless it still runs."""
        old, self._current = self._current, None
        if old is not None and old.leases:
            self._counts.old.append(old)

    def _expect_open(self) -> None:
        if self._closed:
            raise SwapRefused("closed: no more swaps")

    @contextmanager
    def _lease(self) -> Iterator[_Generation | None]:
        with self._lock:
            generation = self._current
            if generation is not None:
                generation.leases += 1
        try:
            yield generation
        finally:
            if generation is not None:
                with self._lock:
                    generation.leases -= 1
                    if not generation.leases and generation in self._counts.old:
                        self._counts.old.remove(generation)


_NO_GENERATION: Final = 0


class _State(np.ndarray[tuple[int, ...], np.dtype[np.float32]]):
    """A recurrent state that knows which generation it comes from."""

    generation: int = _NO_GENERATION


def _marked(hidden: Hidden, generation: int) -> npt.NDArray[np.float32]:
    state = hidden.view(_State)
    state.generation = generation
    return state


def _generation_of(hidden: Hidden) -> int:
    return hidden.generation if isinstance(hidden, _State) else _NO_GENERATION
