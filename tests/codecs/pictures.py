"""Synthetic moving pictures: deterministic, textured, cheap."""

import numpy as np

from auralink.codecs.frame import Frame, Plane


def moving(
    number: int, size: tuple[int, int] = (176, 144), *, fps: float = 30, speed: float = 1.5
) -> Frame:
    """Frame ``number`` of a textured wave that drifts, with a square that moves against it."""
    width, height = size
    x = np.arange(width, dtype=np.float32)[None, :] + speed * number
    y = np.arange(height, dtype=np.float32)[:, None] + 0.4 * number
    luma = 120 + 40 * np.sin(x / 6) * np.cos(y / 9) + 25 * np.sin((x + 2 * y) / 3.1)
    side = max(1, min(width, height) // 4)
    left = round(width / 2 + width / 4 * np.sin(number / 7))
    luma[height // 3 : height // 3 + side, left : left + side] = 220
    chroma = ((height + 1) // 2, (width + 1) // 2)
    u = np.broadcast_to(128 + 30 * np.sin(x[:, ::2] / 11), chroma)
    v = np.broadcast_to(128 + 30 * np.cos(y[::2] / 13), chroma)
    return Frame(y=_plane(luma), u=_plane(u), v=_plane(v), pts_us=round(number * 1e6 / fps))


def noisy(number: int, size: tuple[int, int] = (176, 144), *, fps: float = 30) -> Frame:
    """The same with sensor noise, so that no rate is too high for it."""
    frame = moving(number, size, fps=fps)
    noise = np.random.default_rng(number).normal(0, 6, frame.y.shape)
    return Frame(y=_plane(frame.y + noise), u=frame.u, v=frame.v, pts_us=frame.pts_us)


def psnr(a: Plane, b: Plane) -> float:
    error = float(np.mean((a.astype(np.float32) - b) ** 2))
    return float(10 * np.log10(255**2 / max(error, 1e-6)))


def _plane(values: np.ndarray) -> Plane:
    return np.ascontiguousarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))
