"""Write the vectors of learned coding anew: a small model, payloads, and what they hold.

Run ``python tests/vectors/make_neural.py`` after a deliberate change of the bitstream, never to
make a test pass.  The model's tables and integer networks are drawn at random, so that every kind
of symbol occurs; it codes no picture.  ``neural.npz`` has the model's arrays (``model.*``) and for
each frame *n* its ``n.rows``, ``n.columns``, ``n.intra``, ``n.level``, ``n.strength``, its payloads
one after the other (``n.payloads``, ``n.lengths``) and the ``n.hyper``, ``n.vectors`` and
``n.latent`` that a decoder with all of them reads.
"""

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np

from auralink.codecs.neural import frame_code
from auralink.codecs.neural.model import Model
from auralink.codecs.neural.tiles import Grid

HERE = Path(__file__).parent
# Cells, kind, and the limit that makes one, two or four packets, or tiles of them.
FRAMES = [
    (9, 11, True, 10_000),
    (9, 11, False, 10_000),
    (9, 11, False, 260),
    (9, 11, True, 110),
    (2, 3, False, 10_000),
    (12, 16, False, 150),
]


def content() -> bytes:
    sys.path.insert(0, str(HERE.parents[1]))
    from tests.codecs.neural import samples

    arrays = samples.arrays(7)
    model = Model.from_arrays(arrays)
    stored: dict[str, Any] = {f"model.{name}": value for name, value in arrays.items()}
    for n, (rows, columns, intra, limit) in enumerate(FRAMES):
        frame = samples.symbols(rows, columns, intra=intra, busy=0.1, seed=n)
        payloads, seen = frame_code.write(model, frame, limit)
        again = frame_code.read(model, Grid(rows, columns), payloads)
        assert np.array_equal(again.latent, seen.latent)
        stored |= {
            f"{n}.rows": rows,
            f"{n}.columns": columns,
            f"{n}.intra": intra,
            f"{n}.level": frame.settings.quality,
            f"{n}.strength": frame.settings.strength,
            f"{n}.payloads": np.frombuffer(b"".join(payloads), np.uint8),
            f"{n}.lengths": np.array([len(payload) for payload in payloads]),
            f"{n}.hyper": seen.hyper,
            f"{n}.vectors": seen.vectors,
            f"{n}.latent": seen.latent,
        }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **stored)
    return buffer.getvalue()


if __name__ == "__main__":
    (HERE / "neural.npz").write_bytes(content())
