"""Proves on this machine that a network computes what it did where it was made."""

import time
from dataclasses import dataclass

import numpy as np

from auralink.codecs.video.protocol import Networks
from auralink.models.errors import ModelError, WrongModel
from auralink.models.golden import Expected, GoldenVectors, read_golden, run_clip
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
    ok, detail = _compared(entry, golden, made)
    return Verification(ok=ok, detail=detail, ms=ms, provider=networks.provider)


def check(entry: Entry, networks: Networks) -> int:
    """Run the golden vectors of an entry through networks that are about to serve, or serve.

    Returns:
        Microseconds that a frame took.

    Raises:
        ModelError: a file is damaged, a frame was refused, or something else came out.
    """
    golden = read_golden(entry)
    started = time.perf_counter_ns()
    made = run_clip(networks, golden.clip)
    spent_us = (time.perf_counter_ns() - started) // (1000 * len(golden.clip.base))
    ok, detail = _compared(entry, golden, made)
    if not ok:
        raise WrongModel(f"{entry.label} {entry.version}: {detail}")
    return spent_us


def _compared(entry: Entry, golden: GoldenVectors, made: Expected) -> tuple[bool, str]:
    grey, state = _differences(golden, made.output, made.hidden)
    allowed = entry.golden.tolerance
    detail = (
        f"{len(made.output)} frames: off by at most {grey:.0f} grey levels (allowed {allowed:g}) "
        f"and {state:.4f} of the state (allowed {allowed * STATE_PER_GREY:.4f})"
    )
    return grey <= allowed and state <= allowed * STATE_PER_GREY, detail


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
