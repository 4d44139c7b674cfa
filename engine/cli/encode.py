"""``auralink encode``: a clip or camera into an ``.aic`` file."""

import statistics
from pathlib import Path
from typing import Annotated

import typer

from auralink.codecs.errors import InputError
from auralink.codecs.video.options import EncoderOptions
from auralink.codecs.video.profiles import DEFAULT_PROFILE
from auralink.codecs.video.protocol import Outcome, Wish
from auralink.engine.cli import values
from auralink.engine.cli.codec import encoder_for, not_onto_itself
from auralink.engine.cli.terminal import (
    Facts,
    Json,
    kilobits,
    note,
    print_facts,
    print_json,
    progress,
)
from auralink.engine.media.encoding import AicWriter, Step, Tally, encode_frames
from auralink.engine.media.faults import counted
from auralink.engine.media.reader import Clip, ReadOptions


def encode(
    source: Annotated[str, typer.Argument(metavar="IN", help="Video file, or /dev/video0.")],
    target: Annotated[Path, typer.Argument(metavar="OUT.aic")],
    profile: Annotated[str, typer.Option(help="Codec; a wrong name lists them.")] = DEFAULT_PROFILE,
    bitrate: Annotated[
        int | None, typer.Option(parser=values.bitrate, metavar="RATE", help="90k, 1.5M.")
    ] = None,
    quality: Annotated[
        int | None,
        typer.Option(min=1, max=63, help="Constant quality, 1 finest (as AV1's CRF). Default 40."),
    ] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="Stop after as many frames.")] = None,
    size: Annotated[
        values.Size | None,
        typer.Option(parser=values.picture_size, metavar="WxH", help="Scale the source first."),
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(parser=values.frame_rate, metavar="FPS", help="Leave frames out down to it."),
    ] = None,
    preset: Annotated[
        int | None,
        typer.Option(
            min=1, max=12, help="Effort, 1 best to 12 fastest; default: what time allows."
        ),
    ] = None,
    screen: Annotated[
        bool | None, typer.Option(help="Screen content tools; default: found from the pictures.")
    ] = None,
    parity: Annotated[
        float,
        typer.Option(parser=values.share, metavar="SHARE", help="Repair packets, of all: 20%."),
    ] = 0.0,
    json: Json = False,
) -> None:
    """Encode a video file or a camera into an .aic file."""
    if bitrate is not None and quality is not None:
        raise InputError("--bitrate and --quality exclude each other: give one of them")
    not_onto_itself(source, target)
    options = EncoderOptions(preset=preset, screen=screen, quantizer=quality or 40)
    wish = Wish(bitrate_bps=bitrate, parity=parity)
    read = ReadOptions(frames=frames, size=size.pair if size else None, fps=fps)
    with Clip(source, read) as clip, AicWriter(target) as writer:
        tally = _encode(clip, writer, profile, options, wish, quiet=json)
    if json:
        print_json(_as_json(tally, target))
    else:
        print_facts(_as_facts(tally, target))
        note(f"watch it: auralink decode {target} {target.with_suffix('.mkv')}")


def _encode(
    clip: Clip,
    writer: AicWriter,
    profile: str,
    options: EncoderOptions,
    wish: Wish,
    *,
    quiet: bool,
) -> Tally:
    """Encode all of a clip; a camera may be interrupted, that is how it ends."""
    tally = Tally()
    # A file waits for its encoder, and should come out the same on every machine.
    encoder = encoder_for(profile, fps=clip.info.fps, options=options, adaptive=clip.info.live)
    try:
        with progress("encoding", clip.info.frames, quiet=quiet) as bar:
            for step in encode_frames(clip, encoder, lambda _: wish):
                writer.write(step.coded.packets)
                tally.add(step)
                bar.advance(_detail(step, tally))
    except KeyboardInterrupt:
        if not clip.info.live:
            _tell_partial(writer, tally)
            raise
    except BaseException:
        _tell_partial(writer, tally)
        raise
    finally:
        encoder.close()
    return tally


def _tell_partial(writer: AicWriter, tally: Tally) -> None:
    if writer.bytes:
        note(f"partial: {writer.partial} keeps {counted(tally.frames, 'frame')}")


def _detail(step: Step, tally: Tally) -> str:
    rate = tally.bitrate_bps
    return f"{step.encode_ms:5.1f} ms" + (f"  {kilobits(rate)}" if rate else "")


def _as_facts(tally: Tally, target: Path) -> Facts:
    spent = sorted(tally.encode_ms)
    outcomes = ", ".join(
        f"{n} {kind.value.replace('_', ' ')}" for kind, n in tally.outcomes.items()
    )
    kinds = ", ".join(f"{n} {kind.name.lower()}" for kind, n in sorted(tally.kinds.items()))
    rate = tally.bitrate_bps
    return (
        ("file", str(target)),
        ("frames", f"{tally.frames} ({outcomes})"),
        ("units", f"{kinds}, in {counted(tally.packets, 'packet')}"),
        ("bytes", f"{tally.wire_bytes:,} on the wire, {tally.parity_bytes:,} of them parity"),
        ("bit rate", f"{kilobits(rate)} over {tally.duration_s:.2f} s" if rate else "one frame"),
        (
            "encoding",
            f"{statistics.median(spent):.1f} ms a frame, 95 % within {_p95(spent):.1f} ms",
        ),
    )


def _as_json(tally: Tally, target: Path) -> dict[str, object]:
    spent = sorted(tally.encode_ms)
    return {
        "file": str(target),
        "frames": tally.frames,
        "outcomes": {outcome.value: tally.outcomes[outcome] for outcome in Outcome},
        "kinds": {kind.name.lower(): n for kind, n in sorted(tally.kinds.items())},
        "packets": tally.packets,
        "wire_bytes": tally.wire_bytes,
        "payload_bytes": tally.payload_bytes,
        "header_bytes": tally.header_bytes,
        "parity_bytes": tally.parity_bytes,
        "duration_s": tally.duration_s,
        "bitrate_bps": tally.bitrate_bps,
        "encode_ms": {"median": statistics.median(spent), "p95": _p95(spent), "max": spent[-1]},
    }


def _p95(ordered: list[float]) -> float:
    return ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]
