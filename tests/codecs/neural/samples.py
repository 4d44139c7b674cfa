"""Models and frames drawn at random: small, and with every kind of symbol."""

from typing import Any

import numpy as np

from auralink.codecs.neural import rans
from auralink.codecs.neural.frame_code import Symbols
from auralink.codecs.neural.model import (
    BUCKETS,
    CLASSES,
    ESCAPE,
    INDICES,
    LENGTH_CONTEXTS,
    MODE_CONTEXTS,
    MODES,
    Model,
)
from auralink.codecs.neural.packet import Settings

LATENT, HYPER, HIDDEN, INNER = 24, 6, 8, 8


def arrays(seed: int = 0) -> dict[str, Any]:
    """A model file's arrays: weights as large as they may be, tables of decaying symbols."""
    rng = np.random.default_rng(seed)

    def layer(name: str, outputs: int, inputs: int, kernel: int, bias: int) -> dict[str, Any]:
        shape = (outputs, inputs, kernel, kernel)
        return {
            f"{name}.weight": rng.integers(-63, 64, shape).astype(np.int8),
            f"{name}.bias": rng.integers(-bias, bias + 1, outputs).astype(np.int32),
        }

    def table(rows: int, symbols: int, steepest: float) -> Any:
        decay = np.exp(-np.linspace(steepest, 0.05, rows)[:, None] * np.arange(symbols))
        return rans.frequencies(decay)

    made: dict[str, Any] = {"early": np.arange(LATENT) % 3 == 0}
    for kind in ("intra", "predict"):
        made |= layer(f"{kind}.scale_up", 4 * HIDDEN, HYPER, 1, 400)
        made |= layer(f"{kind}.scale_out", 4 * LATENT, HIDDEN, 1, 8000)
        for k in range(3):
            made |= layer(f"{kind}.contexts.{k}.gather", INNER, LATENT, 1, 10)
            made |= layer(f"{kind}.contexts.{k}.mix", INNER, INNER, 3, 100)
            made |= layer(f"{kind}.contexts.{k}.tell", LATENT, INNER, 1, 1000)
        made[f"{kind}.latent"] = table(INDICES, ESCAPE + 1, 9.0)
        centred = np.exp(-0.3 * np.abs(np.arange(63) - 31))
        made[f"{kind}.hyper"] = rans.frequencies(np.tile(centred, (BUCKETS * HYPER, 1)))
        made[f"{kind}.quiet"] = np.array(6)
    made["modes"] = table(MODE_CONTEXTS, MODES, 2.0)
    made["lengths"] = table(LENGTH_CONTEXTS, CLASSES, 1.0)
    return made


def model(seed: int = 0) -> Model:
    return Model.from_arrays(arrays(seed))


def symbols(
    rows: int = 9, columns: int = 11, *, intra: bool = False, busy: float = 0.02, seed: int = 0
) -> Symbols:
    """A frame of cells: mostly zeros, some small symbols, a few that need escapes."""
    rng = np.random.default_rng(seed)
    latent = np.where(
        rng.random((LATENT, rows, columns)) < busy,
        rng.geometric(0.3, (LATENT, rows, columns)) * rng.choice((-1, 1), (LATENT, rows, columns)),
        0,
    ).astype(np.int16)
    latent.reshape(-1)[rng.integers(0, latent.size, 3)] = (270, -16, 17)
    blocks = -(-rows // 4), -(-columns // 4)
    hyper = rng.integers(-4, 5, (HYPER, *blocks)).astype(np.int8)
    vectors = np.zeros((2 * rows, 2 * columns, 2), np.int16)
    if not intra:
        moving = rng.random((rows, columns)) < 0.4
        vectors = rng.integers(-9, 10, (rows, columns, 2)) * moving[:, :, None]
        vectors = vectors.repeat(2, 0).repeat(2, 1).astype(np.int16)
        vectors[2:4, 2:4] = ((1, 2), (-252, 252)), ((0, 0), (252, -252))
    return Symbols(
        settings=Settings(intra=intra, quality=int(rng.integers(256)), strength=2),
        hyper=hyper,
        vectors=vectors,
        latent=latent,
        held=np.ones((rows, columns), np.bool_),
    )
