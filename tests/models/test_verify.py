from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from auralink.models.errors import DamagedModel, ModelError
from auralink.models.golden import Clip, read_golden, run_clip
from auralink.models.manifest import Precision
from auralink.models.runtime import OnnxNetworks
from auralink.models.store import Store
from auralink.models.verify import verify


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_golden_vectors_match(store: Store, precision: Precision) -> None:
    found = verify(store.find(1, precision))

    assert found.ok, found.detail
    assert found.ms > 0


def test_golden_vectors_show_a_change_of_the_weights(store: Store) -> None:
    """The vectors of one precision do not fit the other: they can tell networks apart."""
    eight, floats = store.find(1, "int8"), store.find(1, "fp32")
    strict = replace(floats, precision="int8", golden=replace(eight.golden, tolerance=0.0))

    found = verify(strict)

    assert not found.ok
    assert "grey levels" in found.detail


def test_a_damaged_file_fails_with_its_reason(folder: Path) -> None:
    entry = Store(folder).find(1)
    entry.path.write_bytes(entry.path.read_bytes()[:-1])

    found = verify(entry)

    assert not found.ok
    assert "bytes, expected" in found.detail
    assert found.ms == 0


def test_damaged_golden_vectors_fail_with_their_reason(folder: Path) -> None:
    entry = Store(folder).find(1)
    entry.golden_path.write_bytes(b"PK\x03\x04")

    found = verify(entry)

    assert not found.ok
    assert "SHA-256" in found.detail


def test_golden_vectors_without_an_array_are_damage(store: Store) -> None:
    entry = store.find(1)

    with pytest.raises(DamagedModel, match="fp16_output"):
        read_golden(replace(entry, precision="fp16"))  # type: ignore[arg-type]


def test_a_refused_frame_is_an_error(store: Store) -> None:
    clip = read_golden(store.find(1)).clip

    with pytest.raises(ModelError, match="frame 0 was refused: no_model"):
        run_clip(OnnxNetworks.open(store, 99), clip)


def test_an_empty_clip_proves_nothing(store: Store) -> None:
    clip = Clip(base=np.zeros((0, 8, 8), np.uint8), side=np.zeros((0, 3), np.float32))

    with pytest.raises(ModelError, match="empty"):
        run_clip(OnnxNetworks.open(store, 1), clip)
