"""The made-up clip of the golden vectors: moving stripes, a box and noise, seen at half size."""

import numpy as np

from auralink.models.golden import Clip

SEED = 20
FRAMES = 5
HEIGHT, WIDTH = 54, 90  # no multiples of 4: padding is proven too
QUANTIZERS = (90, 200, 180, 215, 140)


def golden_clip() -> Clip:
    chance = np.random.default_rng(SEED)
    frames = [_blurred(_picture(at, chance)) for at in range(FRAMES)]
    side = [(q, 0.5 if at < 3 else 2 / 3, at % 2 == 0) for at, q in enumerate(QUANTIZERS)]
    return Clip(base=np.stack(frames), side=np.array(side, np.float32))


def _picture(at: int, chance: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float64)
    stripes = 40 * np.sin((x + 2 * y + 3 * at) / 4) + 25 * np.sin((x - y) / 11)
    box = np.where((abs(x - 30 - 4 * at) < 12) & (abs(y - 26) < 9), 70.0, 0.0)
    return 110 + stripes + box + chance.normal(0, 3, (HEIGHT, WIDTH))


def _blurred(picture: np.ndarray) -> np.ndarray:
    """Halve by averaging and double again linearly, as an upscaled base would look."""
    small = picture.reshape(HEIGHT // 2, 2, WIDTH // 2, 2).mean((1, 3))
    for axis, length in ((0, HEIGHT), (1, WIDTH)):
        at = np.clip((np.arange(length) - 0.5) / 2, 0, length // 2 - 1)
        low = np.minimum(at.astype(int), length // 2 - 2)
        share = np.expand_dims(at - low, 1 - axis)
        small = np.take(small, low, axis) * (1 - share) + np.take(small, low + 1, axis) * share
    return np.clip(np.rint(small), 0, 255).astype(np.uint8)
