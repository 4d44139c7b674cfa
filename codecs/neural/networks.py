"""The networks that the learned codec is built on, as it sees them.

`auralink.models` serves this with ONNX Runtime.  What the networks compute is floating and may
differ a little from machine to machine: pictures and features that differ by a step are drift, no
error.  What a packet needs to be read at all is in `Model`, in integers.
"""

from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from auralink.codecs.neural.latent import Hyper, Latent
from auralink.codecs.neural.model import Model
from auralink.codecs.neural.motion import Features
from auralink.codecs.neural.packing import Packed

Floats: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What an encoder's network makes of a picture."""

    hyper: Hyper = field(repr=False)  # z
    residual: Floats = field(repr=False)  # y less its means, (channels, rows, columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What the frame before tells the next one; only networks look inside."""

    context: Floats = field(repr=False)  # (channels, 2 rows, 2 columns)
    seen: Floats = field(repr=False)  # (channels, rows, columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Synthesis:
    picture: Packed = field(repr=False)
    features: Features = field(repr=False)  # (channels, 2 rows, 2 columns), in 1/16


class NeuralNetworks(Protocol):
    """One trained pair: a network for keys and one for predicted frames.

    All arrays are C-contiguous.  ``quality`` is 0..1.5, ``cells`` the quality of each 16×16 cell,
    ``float32 (rows, columns)``.
    """

    @property
    def model_id(self) -> int:
        """Number of the weights, as carried in the stream configuration."""
        ...

    @property
    def model(self) -> Model:
        """Integer networks and symbol tables that belong to the weights."""
        ...

    def analyse_key(self, picture: Packed, quality: float) -> Analysis: ...

    def synthesize_key(self, hyper: Hyper, latent: Latent, quality: float) -> Synthesis: ...

    def context(self, prediction: Packed, moved: Features, cells: Floats) -> Context:
        """
        Args:
            prediction: the last picture, moved.
            moved: the last features, moved.
        """
        ...

    def analyse_delta(
        self, picture: Packed, prediction: Packed, context: Context, cells: Floats
    ) -> Analysis: ...

    def synthesize_delta(
        self, prediction: Packed, context: Context, hyper: Hyper, latent: Latent, cells: Floats
    ) -> Synthesis: ...
