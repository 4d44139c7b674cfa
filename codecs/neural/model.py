"""What both ends must share to the bit: integer networks and symbol tables.

Trained with the floating networks and stored beside them, but needed to read a packet at all, so
they are integers, checked when they are loaded.
"""

import io
import zipfile
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from auralink.codecs.errors import InputError
from auralink.codecs.neural import rans
from auralink.codecs.neural.rans import Cumulative

INDICES: Final = 64
ESCAPE: Final = 16  # magnitudes from here on share one symbol
LARGEST: Final = 270  # the most that an escape can say
LARGEST_HYPER: Final = 31
BUCKETS: Final = 8  # of quality, for the tables of z

CONTEXTS: Final = 3  # of each kind of frame
CLASSES: Final = 10  # bit lengths of vector differences
MODES: Final = 3  # of a cell's motion: as predicted, another vector, four vectors
MODE_CONTEXTS: Final = 6
LENGTH_CONTEXTS: Final = 6


_LARGEST_WEIGHT: Final = 63
_LARGEST_SUM: Final = 1 << 24
_LARGEST_INPUT: Final = 127


@dataclass(frozen=True, slots=True)
class Layer:
    """``clip(floor((W x + b) / 2**shift), low, high)`` in integers."""

    weight: npt.NDArray[np.float32] = field(repr=False)  # (outputs, inputs, k, k), k 1 or 3
    bias: npt.NDArray[np.float32] = field(repr=False)
    shift: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class KindModel:
    """For keys, or for predicted frames."""

    scale_up: Layer  # z to the hidden layer
    scale_out: Layer  # the hidden layer to scale indices
    contexts: tuple[tuple[Layer, Layer, Layer], ...]  # gather, mix, tell; for steps 2, 3, 4
    latent: Cumulative = field(repr=False)  # (INDICES, ESCAPE + 1) of magnitudes
    hyper: Cumulative = field(repr=False)  # (BUCKETS * channels, 63)
    quiet: int  # scale indices below are never coded: their symbols are zero


@dataclass(frozen=True, slots=True)
class Model:
    intra: KindModel
    predict: KindModel
    modes: Cumulative = field(repr=False)  # (MODE_CONTEXTS, MODES)
    lengths: Cumulative = field(repr=False)  # (LENGTH_CONTEXTS, CLASSES)
    early: npt.NDArray[np.bool_] = field(repr=False)  # channels of y coded in the first half

    @property
    def latent_channels(self) -> int:
        return len(self.early)

    @property
    def hyper_channels(self) -> int:
        return int(self.intra.scale_up.weight.shape[1])

    def kind(self, intra: bool) -> KindModel:
        return self.intra if intra else self.predict

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """
        Raises:
            InputError: not such a file, or numbers in it that would not be exact.
        """
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            return cls.from_arrays(arrays)
        except (ValueError, KeyError, IndexError, OSError, zipfile.BadZipFile) as error:
            raise InputError(f"model file is damaged: {error}") from error

    @classmethod
    def from_arrays(cls, arrays: dict[str, npt.NDArray[Any]]) -> Self:
        model = cls(
            intra=_kind(arrays, "intra"),
            predict=_kind(arrays, "predict"),
            modes=rans.cumulative(arrays["modes"]),
            lengths=rans.cumulative(arrays["lengths"]),
            early=arrays["early"].astype(np.bool_),
        )
        _check(model)
        return model


def _kind(arrays: dict[str, npt.NDArray[Any]], name: str) -> KindModel:
    def layer(part: str, shift: int, low: int, high: int) -> Layer:
        weight, bias = arrays[f"{name}.{part}.weight"], arrays[f"{name}.{part}.bias"]
        return Layer(weight.astype(np.float32), bias.astype(np.float32), shift, low, high)

    return KindModel(
        scale_up=layer("scale_up", 6, 0, 127),
        scale_out=layer("scale_out", 8, 0, INDICES - 1),
        contexts=tuple(
            (
                layer(f"contexts.{k}.gather", 2, 0, 127),
                layer(f"contexts.{k}.mix", 6, 0, 127),
                layer(f"contexts.{k}.tell", 8, -63, 63),
            )
            for k in range(CONTEXTS)
        ),
        latent=rans.cumulative(arrays[f"{name}.latent"]),
        hyper=rans.cumulative(arrays[f"{name}.hyper"]),
        quiet=int(arrays[f"{name}.quiet"]),
    )


def _check(model: Model) -> None:
    latent, hyper = model.latent_channels, model.hyper_channels
    for kind in (model.intra, model.predict):
        chains = [(kind.scale_up, kind.scale_out), *kind.contexts]
        for layer in (layer for chain in chains for layer in chain):
            taps = layer.weight[0].size
            most = taps * _LARGEST_WEIGHT * _LARGEST_INPUT + np.abs(layer.bias).max()
            whole = all((a == np.round(a)).all() for a in (layer.weight, layer.bias))
            if not whole or np.abs(layer.weight).max() > _LARGEST_WEIGHT or most >= _LARGEST_SUM:
                raise ValueError("weights are not small whole numbers")
        hidden = kind.scale_out.weight.shape[1]
        expected = {
            "scale_up": (kind.scale_up.weight.shape, (4 * hidden, hyper, 1, 1)),
            "scale_out": (kind.scale_out.weight.shape, (4 * latent, hidden, 1, 1)),
            "latent": (kind.latent.shape, (INDICES, ESCAPE + 2)),
            "hyper": (kind.hyper.shape, (BUCKETS * hyper, 2 * LARGEST_HYPER + 2)),
        }
        for gather, mix, tell in kind.contexts:
            inner = gather.weight.shape[0]
            expected["gather"] = (gather.weight.shape, (inner, latent, 1, 1))
            expected["mix"] = (mix.weight.shape, (inner, inner, 3, 3))
            expected["tell"] = (tell.weight.shape, (latent, inner, 1, 1))
        for name, (shape, wanted) in expected.items():
            if shape != wanted:
                raise ValueError(f"{name} has shape {shape}, not {wanted}")
        if not 0 <= kind.quiet < INDICES:
            raise ValueError(f"no scale index {kind.quiet}")
    if model.modes.shape != (MODE_CONTEXTS, MODES + 1):
        raise ValueError("tables of motion modes have another shape")
    if model.lengths.shape != (LENGTH_CONTEXTS, CLASSES + 1):
        raise ValueError("tables of vector lengths have another shape")
