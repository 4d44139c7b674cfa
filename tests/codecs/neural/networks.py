"""Networks without training: random orthonormal projections, enough to close the loop."""

import numpy as np

from auralink.codecs.neural.latent import Hyper, Latent
from auralink.codecs.neural.model import Model
from auralink.codecs.neural.motion import Features
from auralink.codecs.neural.networks import Analysis, Context, Floats, NeuralNetworks, Synthesis
from auralink.codecs.neural.packing import CHANNELS, Packed

from .samples import HYPER, LATENT, arrays

FEATURES = 4
MODEL_ID = 16


class LinearNetworks:
    """A cell's 384 samples to a few numbers and back; finer with quality."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        basis, _ = np.linalg.qr(rng.normal(size=(4 * CHANNELS, LATENT)))
        basis[:, 0] = 1
        basis[:, 0] /= np.linalg.norm(basis[:, 0])
        self._basis = basis.astype(np.float32)
        # With tables drawn at random, quiet symbols would be any.
        loud = {"intra.quiet": np.array(0), "predict.quiet": np.array(0)}
        self._model = Model.from_arrays(arrays(seed) | loud)

    @property
    def model_id(self) -> int:
        return MODEL_ID

    @property
    def model(self) -> Model:
        return self._model

    def analyse_key(self, picture: Packed, quality: float) -> Analysis:
        return self._analysis(picture.astype(np.float32) - 128, _gain(quality))

    def synthesize_key(self, hyper: Hyper, latent: Latent, quality: float) -> Synthesis:
        return self._synthesis(np.float32(128), latent, _gain(quality))

    def context(self, prediction: Packed, moved: Features, cells: Floats) -> Context:
        return Context(context=moved.astype(np.float32) / 16, seen=cells[None])

    def analyse_delta(
        self, picture: Packed, prediction: Packed, context: Context, cells: Floats
    ) -> Analysis:
        return self._analysis(picture.astype(np.float32) - prediction, _gain(cells))

    def synthesize_delta(
        self, prediction: Packed, context: Context, hyper: Hyper, latent: Latent, cells: Floats
    ) -> Synthesis:
        live = latent.any(0).repeat(2, 0).repeat(2, 1)
        made = self._synthesis(prediction.astype(np.float32), latent, _gain(cells))
        return Synthesis(picture=np.where(live, made.picture, prediction), features=made.features)

    def _analysis(self, samples: Floats, gain: Floats) -> Analysis:
        y = np.einsum("kc,kij->cij", self._basis, _cells(samples)) * gain
        _, rows, columns = y.shape
        z = np.zeros((HYPER, -(-rows // 4), -(-columns // 4)), np.int8)
        z[0] = np.clip(np.abs(y).max(0)[::4, ::4], 0, 31)
        return Analysis(hyper=z, residual=y.astype(np.float32))

    def _synthesis(self, base: Floats, latent: Latent, gain: Floats) -> Synthesis:
        change = np.einsum("kc,cij->kij", self._basis, latent / gain)
        picture = np.clip(np.rint(base + _spread(change)), 0, 255).astype(np.uint8)
        features = np.clip(latent[:FEATURES], -64, 64).astype(np.int8)
        return Synthesis(picture=picture, features=features.repeat(2, 1).repeat(2, 2))


def networks(_: str | int = "") -> NeuralNetworks:
    """As codecs ask for them, whatever the name."""
    return LinearNetworks()


def _gain(quality: Floats | float) -> Floats:
    return np.exp(2 * np.asarray(quality, np.float32)) / 200


def _cells(packed: Floats) -> Floats:
    channels, h, w = packed.shape
    cells = packed.reshape(channels, h // 2, 2, w // 2, 2)
    return cells.transpose(0, 2, 4, 1, 3).reshape(4 * channels, h // 2, w // 2)


def _spread(cells: Floats) -> Floats:
    _, rows, columns = cells.shape
    packed = cells.reshape(CHANNELS, 2, 2, rows, columns).transpose(0, 3, 1, 4, 2)
    return packed.reshape(CHANNELS, 2 * rows, 2 * columns)
