"""The integer path gives the same indices as exact integers do, in any arrangement."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from auralink.codecs.neural import latent, scale
from auralink.codecs.neural.model import INDICES, Layer
from auralink.codecs.neural.tiles import coset_of, late_half

from .samples import HYPER, LATENT, model, symbols


def apply_exactly(layer: Layer, x: np.ndarray, cosets: int = 1) -> np.ndarray:
    """The layer in Python integers of any size, one output at a time."""
    weight, bias = layer.weight.astype(object), layer.bias.astype(object)
    reach = layer.weight.shape[-1] // 2
    _, rows, columns = x.shape
    out = np.zeros((len(weight), rows, columns), np.int64)
    for o, i, j in np.ndindex(out.shape):
        total = int(bias[o])
        for a in range(-reach, reach + 1):
            for b in range(-reach, reach + 1):
                inside = 0 <= i + a < rows and 0 <= j + b < columns
                if inside and scale.within(cosets, a, b):
                    taps = weight[o, :, a + reach, b + reach]
                    total += sum(
                        int(w) * int(v) for w, v in zip(taps, x[:, i + a, j + b], strict=True)
                    )
        out[o, i, j] = min(max(total >> layer.shift, layer.low), layer.high)
    return out


def unfold(x: np.ndarray) -> np.ndarray:
    """Each four channels to the corners of a cell twice as fine."""
    channels, rows, columns = x.shape
    out = np.zeros((channels // 4, 2 * rows, 2 * columns), x.dtype)
    for c in range(channels):
        out[c // 4, c % 4 // 2 :: 2, c % 2 :: 2] = x[c]
    return out


def test_first_indices_are_exact() -> None:
    kind = model().predict
    hyper = np.random.default_rng(0).integers(-31, 32, (HYPER, 2, 2)).astype(np.int8)
    hidden = unfold(apply_exactly(kind.scale_up, hyper))
    exact = unfold(apply_exactly(kind.scale_out, hidden))[:, :7, :5]

    assert np.array_equal(scale.first_index(kind, hyper, 7, 5), exact)
    assert len(np.unique(exact)) > 10


@pytest.mark.parametrize("cosets", [1, 2, 4])
def test_offsets_are_exact_and_see_only_their_own_packet(cosets: int) -> None:
    kind = model().predict
    magnitudes = np.random.default_rng(1).integers(0, 40, (LATENT, 4, 5)).astype(np.float32)
    gather, mix, tell = kind.contexts[1]
    inner = apply_exactly(gather, np.minimum(magnitudes, 15))
    exact = apply_exactly(tell, apply_exactly(mix, inner, cosets))

    assert np.array_equal(scale.offset(kind, 2, magnitudes, cosets), exact)

    own = coset_of(4, 5, cosets) == 0
    alone = scale.offset(kind, 2, np.where(own, magnitudes, 0), cosets)
    assert np.array_equal(alone[:, own], exact[:, own])


def test_the_index_does_not_depend_on_how_memory_lies() -> None:
    kind, frame = model().predict, symbols()
    straight = scale.first_index(kind, frame.hyper, 9, 11)
    turned = np.asfortranarray(frame.hyper)

    assert np.array_equal(scale.first_index(kind, turned, 9, 11), straight)


def test_extreme_inputs_stay_exact_and_within_the_tables() -> None:
    kind = model().intra
    for value in (-31, 31):
        hyper = np.full((HYPER, 1, 1), value, np.int8)
        index = scale.first_index(kind, hyper, 4, 4)
        exact = unfold(apply_exactly(kind.scale_out, unfold(apply_exactly(kind.scale_up, hyper))))
        assert np.array_equal(index, exact)
        assert index.min() >= 0
        assert index.max() < INDICES


_HASH = """
import hashlib, numpy as np
from auralink.codecs.neural import latent
from tests.codecs.neural.samples import model, symbols
frame = symbols(23, 40, busy=0.3)
index, _ = latent.prepare(model(), False, frame.hyper, frame.latent, 1)
print(hashlib.sha256(index.tobytes()).hexdigest())
"""


def test_the_index_does_not_depend_on_the_number_of_threads() -> None:
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    found = {
        subprocess.run(
            [sys.executable, "-c", _HASH],
            env=os.environ | dict.fromkeys(names, str(threads)),
            cwd=Path(__file__).parents[3],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for threads in (1, 2, 4)
    }

    assert len(found) == 1


@pytest.mark.parametrize("cosets", [1, 2, 4])
def test_an_index_depends_only_on_what_was_decoded_before(cosets: int) -> None:
    """Changing late symbols must not change the index of those that come earlier."""
    frame, made = symbols(busy=0.3), model()
    index, _ = latent.prepare(made, False, frame.hyper, frame.latent, cosets)
    late = late_half(9, 11, cosets)
    last = ~made.early[:, None, None] & late
    changed = np.where(last, frame.latent + 5, frame.latent).astype(np.int16)

    again, _ = latent.prepare(made, False, frame.hyper, changed, cosets)

    assert np.array_equal(again, index)
