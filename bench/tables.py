"""Results as Markdown, for the README and for reading on the spot."""

from collections.abc import Iterable, Sequence

from auralink.bench.clips import Kind
from auralink.bench.records import METRICS, Result

_NOTHING = "–"


def means(result: Result, subjects: Iterable[str], anchors: Sequence[str]) -> str:
    """Mean BD-rates per kind: one row per subject and anchor, SSIM / MS-SSIM / PSNR in a cell."""
    kinds = [kind for kind in Kind if any(clip.kind == kind for clip in result.clips)]
    counts = {kind: sum(clip.kind == kind for clip in result.clips) for kind in kinds}
    heads = [f"{kind.value} ({counts[kind]})" for kind in kinds]
    found = {(mean.subject, mean.anchor, mean.kind, mean.metric): mean for mean in result.means}
    rows = []
    for subject in subjects:
        for anchor in anchors:
            if subject == anchor or not any(key[:2] == (subject, anchor) for key in found):
                continue
            cells = []
            for kind in kinds:
                values = [found.get((subject, anchor, kind.value, metric)) for metric in METRICS]
                short = min((mean.clips for mean in values if mean), default=0)
                note = "" if short in (0, counts[kind]) else f" ({short} clips)"
                cells.append(_join(mean.percent if mean else None for mean in values) + note)
            rows.append([subject, anchor, *cells])
    return markdown(["codec", "against", *heads], rows)


def per_clip(result: Result, subject: str, anchors: Sequence[str]) -> str:
    """BD-rates of one subject on every clip, one column per anchor."""
    found = {
        (one.anchor, one.clip, one.metric): one.delta
        for one in result.comparisons
        if one.subject == subject
    }
    rows = []
    for clip in result.clips:
        cells = []
        for anchor in anchors:
            deltas = [found.get((anchor, clip.clip, metric)) for metric in METRICS]
            cells.append(_join(delta.percent if delta else None for delta in deltas))
        rows.append([clip.clip, clip.kind, f"{clip.width}x{clip.height}", *cells])
    return markdown(["clip", "kind", "size", *(f"against {name}" for name in anchors)], rows)


def markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _join(values: Iterable[float | None]) -> str:
    """``-67 / -64 / -62 %``; a dash where nothing could be compared."""
    texts = [_NOTHING if value is None else f"{value:+.0f}" for value in values]
    if all(text == _NOTHING for text in texts):
        return _NOTHING
    return " / ".join(texts) + " %"
