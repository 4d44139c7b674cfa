"""Models that are replaced while they serve."""

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auralink.codecs.video.protocol import Hidden, Networks, Restoration
from auralink.models.errors import (
    DamagedModel,
    SwapRefused,
    UnknownModel,
    WrongModel,
)
from auralink.models.live import LiveModel, prepare
from auralink.models.manifest import Entry
from auralink.models.runtime import OnnxNetworks
from auralink.models.store import Store

from .pictures import Plane, pattern

PICTURE = pattern(64, 48)


@pytest.fixture
def live(store: Store) -> LiveModel:
    model = LiveModel()
    model.swap(store.find(1, "int8"))
    return model


def restore(
    networks: Networks, before: Plane | None = None, hidden: Hidden | None = None
) -> Restoration:
    made = networks.restore(
        PICTURE,
        PICTURE if before is None else before,
        hidden,
        quantizer=190,
        scale=0.5,
        reference=True,
    )
    assert made is not None
    return made


class Slow:
    """Networks whose calls end when they are told to."""

    model_id = 1

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.leave = threading.Event()

    def restore(self, current: Plane, *_: object, **__: object) -> Restoration | None:
        self.entered.set()
        assert self.leave.wait(10)
        return Restoration(luma=current, hidden=np.zeros((1, 16, 12, 16), np.float32))


def test_serves_nothing_before_the_first_model() -> None:
    model = LiveModel()

    assert model.model_id == 0
    assert model.restore(PICTURE, PICTURE, None, quantizer=1, scale=0.5, reference=True) is None
    with pytest.raises(UnknownModel):
        model.probe()


def test_a_swap_changes_what_is_computed(live: LiveModel, store: Store) -> None:
    eight = restore(live).luma

    generation = live.swap(store.find(1, "fp32"))

    assert generation == 2
    assert live.statistics().label == "restore-s-fp32"
    assert not np.array_equal(restore(live).luma, eight)
    live.probe()


def test_the_sizes_in_use_are_ready_before_a_model_goes_live(store: Store) -> None:
    made: list[OnnxNetworks] = []

    def noted(entry: Entry) -> Networks:
        networks = prepare(entry)
        assert isinstance(networks, OnnxNetworks)
        made.append(networks)
        return networks

    live = LiveModel(noted)
    live.swap(store.find(1, "int8"))
    restore(live)

    live.swap(store.find(1, "fp32"))

    assert (64, 48) in made[1].sizes()


def test_a_state_of_another_generation_is_not_used(live: LiveModel, store: Store) -> None:
    first = restore(live)
    second = restore(live, first.luma, first.hidden)
    assert not np.array_equal(first.luma, second.luma)

    live.swap(store.find(1, "int8"))

    assert np.array_equal(restore(live, first.luma, first.hidden).luma, first.luma)


def test_a_bad_model_leaves_the_old_one_serving_and_says_why(
    live: LiveModel, store: Store, folder: Path
) -> None:
    bad = Store(folder).find(1, "int8")
    bad.path.write_bytes(bad.path.read_bytes()[:-1])
    before = restore(live).luma

    with pytest.raises(DamagedModel) as raised:
        live.swap(bad)

    assert np.array_equal(restore(live).luma, before)
    statistics = live.statistics()
    assert (statistics.generation, statistics.refused) == (1, 1)
    assert statistics.last_refusal == str(raised.value)


def test_weights_that_compute_something_else_do_not_go_live(
    live: LiveModel, folder: Path, edit: Callable[[Callable[[dict[str, Any]], object]], Store]
) -> None:
    """Whole by their hash, taken by ONNX Runtime, and wrong: only golden vectors tell."""
    entry = Store(folder).find(1, "fp32")
    content = bytearray(entry.path.read_bytes())
    middle = len(content) // 2
    for at in range(middle, middle + 400):
        content[at] ^= 0x10  # exponents too
    entry.path.write_bytes(content)

    def vouch(document: dict[str, Any]) -> None:
        document["models"][0]["sha256"] = hashlib.sha256(content).hexdigest()

    with pytest.raises(WrongModel, match=r"restore-s-fp32 .* off by at most|was refused"):
        live.swap(edit(vouch).find(1, "fp32"))

    assert live.statistics().label == "restore-s-int8"


def test_swaps_under_load_lose_no_frame_and_free_what_was_before(store: Store) -> None:
    live = LiveModel()
    live.swap(store.find(1, "int8"))
    stop = threading.Event()
    lost = []

    def stream() -> int:
        before, hidden, frames = None, None, 0
        while not stop.is_set():
            made = live.restore(
                PICTURE,
                PICTURE if before is None else before,
                hidden,
                quantizer=190,
                scale=0.5,
                reference=True,
            )
            frames += 1
            if made is None:
                lost.append(frames)
                before, hidden = None, None
            else:
                before, hidden = made.luma, made.hidden
        return frames

    with ThreadPoolExecutor(3) as threads:
        streams = [threads.submit(stream) for _ in range(3)]
        for number in range(20):
            live.swap(store.find(1, "fp32" if number % 2 else "int8"))
        stop.set()
        frames = sum(done.result() for done in streams)

    assert frames > 20
    assert lost == []
    assert (live.statistics().leases, live.statistics().draining) == (0, 0)


def test_an_old_generation_goes_with_its_last_call(store: Store) -> None:
    slow, entry = Slow(), store.find(1)
    live = LiveModel(lambda chosen: slow if chosen.version == "old" else prepare(chosen))
    live.swap(replace(entry, version="old"))
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(restore, live)
        assert slow.entered.wait(10)

        live.swap(entry)

        assert (live.statistics().leases, live.statistics().draining) == (1, 1)
        restore(live)  # the new one serves meanwhile
        slow.leave.set()
        running.result()
    assert (live.statistics().leases, live.statistics().draining) == (0, 0)


def test_of_two_swaps_the_one_asked_for_last_wins(store: Store) -> None:
    checking, go_on = threading.Event(), threading.Event()

    def slowly(entry: Entry) -> Networks:
        if entry.version == "first":
            checking.set()
            assert go_on.wait(10)
        return prepare(entry)

    entry = store.find(1)
    live = LiveModel(slowly)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(live.swap, replace(entry, version="first"))
        assert checking.wait(10)
        live.swap(replace(entry, version="second"))
        go_on.set()

        with pytest.raises(SwapRefused, match="asked for later is live"):
            first.result()

    assert live.statistics().version == "second"
    assert live.statistics().generation == 1


def test_a_bad_swap_does_not_stand_in_the_way_of_an_earlier_good_one(store: Store) -> None:
    entry = store.find(1)
    live = LiveModel()
    missing = replace(entry, folder=entry.folder / "nowhere")
    with pytest.raises(DamagedModel):
        live.swap(missing)

    assert live.swap(entry) == 1


def test_generations_only_rise(live: LiveModel, store: Store) -> None:
    seen = []
    with ThreadPoolExecutor(4) as threads:
        swaps = [threads.submit(live.swap, store.find(1, "int8")) for _ in range(12)]
        for swap in swaps:
            try:
                seen.append(swap.result())
            except SwapRefused:
                continue

    assert len(seen) == len(set(seen))
    assert live.statistics().generation == max(seen)


def test_a_closed_model_serves_nothing_and_takes_no_swap(live: LiveModel, store: Store) -> None:
    live.close()

    assert live.restore(PICTURE, PICTURE, None, quantizer=1, scale=0.5, reference=True) is None
    with pytest.raises(SwapRefused, match="closed"):
        live.swap(store.find(1))
