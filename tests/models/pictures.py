"""Synthetic pictures for the network tests."""

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.uint8]


def pattern(width: int, height: int, *, seed: int = 1) -> Plane:
    """Stripes and noise at half size, doubled: what an upscaled base looks like."""
    chance = np.random.default_rng(seed)
    rows, columns = -(-height // 2), -(-width // 2)
    y, x = np.mgrid[:rows, :columns]
    small = 120 + 60 * np.sin((x + y + seed) / 3) + chance.normal(0, 4, (rows, columns))
    doubled = np.repeat(np.repeat(small, 2, 0), 2, 1)[:height, :width]
    return np.clip(np.rint(doubled), 0, 255).astype(np.uint8)
