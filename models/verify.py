"""Proves on this machine that a network computes what it did where it was made."""

import time
from dataclasses import dataclass

import numpy as np

from auralink.models.errors import ModelError
from auralink.models.golden import GoldenVectors, read_golden, run_clip
from auralink.models.manifest import Entry
from auralink.models.runtime import OnnxNetworks
from auralink.models.store import load

# Grey levels of tolerance to units of the hidden state: one 8-bit step of the state (8 / 254) is as
# likely to tip over as one grey level.
STATE_PER_GREY = 8 / 254


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    ok: bool
    detail: str  # what was compared, or what is wrong
    ms: float  # per frame of the golden clip, warm; 0 if nothing ran
    provider: str = ""  # what computed it, as ONNX Runtime calls it


def verify(entry: Entry) -> Verification:
    """Check the files of an entry and run its golden vectors.  Never raises for a bad file."""
    try:
        model, golden = load(entry), read_golden(entry)
        networks = OnnxNetworks(model)
        run_clip(networks, golden.clip)  # makes the session
        started = time.perf_counter()
        made = run_clip(networks, golden.clip)
        ms = (time.perf_counter() - started) * 1e3 / len(golden.clip.base)
    except ModelError as exc:
        return Verification(ok=False, detail=str(exc), ms=0.0)
    grey, state = _differences(golden, made.output, made.hidden)
    allowed = entry.golden.tolerance
    ok = grey <= allowed and state <= allowed * STATE_PER_GREY
    detail = (
        f"{len(made.output)} frames: off by at most {grey:.0f} grey levels (allowed {allowed:g}) "
        f"and {state:.4f} of the state (allowed {allowed * STATE_PER_GREY:.4f})"
    )
    return Verification(ok=ok, detail=detail, ms=ms, provider=networks.provider)


def _differences(
    golden: GoldenVectors,
    output: np.ndarray,
    hidden: np.ndarray,
) -> tuple[float, float]:
    expected = golden.expected
    if output.shape != expected.output.shape or hidden.shape != expected.hidden.shape:
        return float("inf"), float("inf")
    grey = np.abs(output.astype(np.int16) - expected.output.astype(np.int16)).max()
    return float(grey), float(np.abs(hidden - expected.hidden).max())
