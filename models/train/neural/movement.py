"""The codec's own integer prediction inside the training graph.

Forward is `auralink.codecs.neural.motion`, bit for bit; backward is its transpose.
"""

from concurrent.futures import Executor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from auralink.codecs.neural import adaptive, motion, motion_search
from auralink.models.train.neural.losses import pack, unpack
from auralink.models.train.neural.shape import FEATURE_STEPS

REACH = 9  # of the coarse grid, in samples: crops of 128 hold little that moves further


def bytes_of(plane: Tensor) -> np.ndarray:
    """Samples -0.5..0.5 as ``uint8``."""
    whole = ((plane.detach() + 0.5) * 255).round().clamp(0, 255)
    return whole.to("cpu", torch.uint8).numpy()


def search(x: Tensor, last: Tensor, trades: list[float], pool: Executor | None) -> np.ndarray:
    """Vectors of each picture, ``int16 (batch, h, w, 2)``; both pictures packed."""
    current, reference = bytes_of(unpack(x)[0])[:, 0], bytes_of(unpack(last)[0])[:, 0]
    run = map if pool is None else pool.map
    reaches = [REACH] * len(trades)
    return np.stack(list(run(motion_search.search, current, reference, trades, reaches)))


def move_picture(packed: Tensor, vectors: np.ndarray) -> Tensor:
    luma, chroma = unpack(packed)
    return pack(_Move.apply(luma, vectors, 8), _Move.apply(chroma, vectors, 4))


def move_features(features: Tensor, vectors: np.ndarray) -> Tensor:
    return _MoveFeatures.apply(features, vectors)


def cell_offsets(predicted: Tensor, strengths: list[int]) -> Tensor:
    """Quality offsets of the cells of packed predictions, ``(batch, 1, h / 2, w / 2)``."""
    planes = bytes_of(unpack(predicted)[0])[:, 0]
    steps = [adaptive.offsets(p, s) for p, s in zip(planes, strengths, strict=True)]
    offsets = torch.from_numpy(np.stack(steps)[:, None].astype(np.float32) / adaptive.UNIT)
    return offsets.to(predicted.device)


class _Move(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, planes: Tensor, vectors: np.ndarray, block: int) -> Tensor:
        ctx.vectors, ctx.block = vectors, block
        moved = [
            [motion.predict(np.ascontiguousarray(plane), field, block) for plane in picture]
            for picture, field in zip(bytes_of(planes), vectors, strict=True)
        ]
        return torch.from_numpy(np.array(moved)).to(planes.device).float() / 255 - 0.5

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        arrays = gradient.float().cpu().contiguous().numpy()
        back = [
            [motion.predict_adjoint(plane, field, ctx.block) for plane in picture]
            for picture, field in zip(arrays, ctx.vectors, strict=True)
        ]
        return torch.from_numpy(np.array(back)).to(gradient.device), None, None


class _MoveFeatures(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, vectors: np.ndarray) -> Tensor:
        ctx.vectors = vectors
        whole = (features.detach() * FEATURE_STEPS).round().to("cpu", torch.int8).contiguous()
        moved = [motion.move_features(f, v) for f, v in zip(whole.numpy(), vectors, strict=True)]
        return torch.from_numpy(np.array(moved)).to(features.device).float() / FEATURE_STEPS

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        arrays = gradient.float().cpu().contiguous().numpy()
        back = [
            motion.move_features_adjoint(g, v) for g, v in zip(arrays, ctx.vectors, strict=True)
        ]
        return torch.from_numpy(np.array(back)).to(gradient.device), None
