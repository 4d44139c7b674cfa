"""F11 and F14: model files that are bad, and swaps that race."""

import contextlib
import random
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from auralink.bench.fault.mutations import ALL, bundled
from auralink.bench.fault.rig import RESTORE
from auralink.bench.fault.values import Fault, Trial, expect
from auralink.models.errors import ModelError, SwapRefused
from auralink.models.live import LiveModel
from auralink.models.manifest import Entry
from auralink.models.store import Store

_MUTATIONS: Final = 50  # per trial, so that 20 make a thousand
_GREY: Final = np.full((54, 90), 128, np.uint8)


@dataclass(frozen=True, slots=True)
class _Folder:
    live: LiveModel
    entry: Entry


@contextlib.contextmanager
def _folder() -> Iterator[_Folder]:
    """A model that serves, and a private copy of its files to be spoiled."""
    with tempfile.TemporaryDirectory() as folder:
        entry = bundled(Path(folder))
        live = LiveModel()
        live.swap(entry)
        yield _Folder(live, entry)
        live.close()


def _bad_files(folder: _Folder, seed: int) -> Trial:
    chance = random.Random(seed)
    before = _restored(folder.live)
    accepted, silent = [], []
    for at in range(_MUTATIONS):
        mutation = ALL[(seed * _MUTATIONS + at) % len(ALL)]
        try:
            folder.live.swap(mutation(folder.entry, chance))
            accepted.append(mutation.__name__)
        except ModelError as error:
            if not str(error):
                silent.append(mutation.__name__)
    return Trial(
        wrong=expect(
            **{f"accepted_{'_and_'.join(accepted)}": bool(accepted)},
            refused_without_a_word=bool(silent),
            what_served_has_changed=not np.array_equal(before, _restored(folder.live)),
        ),
        figures={"files refused": _MUTATIONS - len(accepted)},
    )


def _restored(live: LiveModel) -> np.ndarray:
    made = live.restore(_GREY, _GREY, None, quantizer=190, scale=0.5, reference=True)
    if made is None:
        raise ModelError("nothing serves")
    return made.luma


@contextlib.contextmanager
def _nothing() -> Iterator[None]:
    yield


def _race(nothing: None, seed: int) -> Trial:
    """Several swaps at once, good and bad ones, and in half of the trials the end of all."""
    del nothing
    chance = random.Random(seed)
    live, store = LiveModel(), Store.bundled()
    good = store.find(RESTORE, "int8")
    live.swap(good)
    asked: list[str] = []
    went: dict[str, int] = {}
    asking = threading.Lock()

    def swap(version: str, entry: Entry, delay_s: float) -> None:
        time.sleep(delay_s)
        with asking:
            asked.append(version)
        with contextlib.suppress(ModelError):
            went[version] = live.swap(entry)

    with ThreadPoolExecutor(8) as threads:
        for at in range(8):
            entry = replace(good, version=f"v{at}")
            if chance.random() < 0.3:
                entry = replace(entry, file="missing.onnx")
            threads.submit(swap, entry.version, entry, chance.uniform(0, 0.02))
        if seed % 2:
            time.sleep(chance.uniform(0, 0.02))
            live.close()
    refused = False
    if seed % 2:
        try:
            live.swap(good)
        except SwapRefused:
            refused = True
    statistics = live.statistics()
    newest = max(went, key=lambda version: went[version], default="")
    return Trial(
        wrong=expect(
            generations_repeat=len(set(went.values())) != len(went),
            another_than_the_last_good_serves=not seed % 2 and statistics.version != newest,
            generation_is_not_the_newest=not seed % 2
            and statistics.generation != max(went.values(), default=1),
            something_serves_after_the_end=bool(seed % 2) and statistics.generation != 0,
            swap_after_the_end_was_taken=bool(seed % 2) and not refused,
        ),
        figures={"swaps that went live": len(went)},
    )


FAULTS: Final = (
    Fault(
        number="F11",
        name="model files missing, cut, flipped, other ports or operators, data elsewhere, 10 GB",
        expected="every file is refused with a reason, what served goes on unchanged",
        prepare=_folder,
        inject=_bad_files,
    ),
    Fault(
        number="F14",
        name="eight swaps race, good and bad; in every second trial the end comes in between",
        expected="the last good one serves, generations only rise, nothing serves after the end",
        prepare=_nothing,
        inject=_race,
    ),
)
