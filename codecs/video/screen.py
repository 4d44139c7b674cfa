"""Tell rendered content (slides, text, user interfaces) from camera pictures by one look."""

from typing import Final

import numpy as np

from auralink.codecs.frame import Frame

# Rendered areas repeat samples exactly; sensors and lossy codecs hardly do over four neighbours.
_RENDERED_SHARE: Final = 0.55


def flat_share(frame: Frame) -> float:
    """Share of luma samples that equal the four to the right of them."""
    y = frame.y
    if y.shape[1] < 8:
        return 0.0
    same = y[:, 1:] == y[:, :-1]
    runs = same[:, :-3] & same[:, 1:-2] & same[:, 2:-1] & same[:, 3:]
    return float(np.mean(runs))


def looks_rendered(frame: Frame) -> bool:
    return flat_share(frame) > _RENDERED_SHARE
