"""``auralink decode``: an ``.aic`` file into pictures, over an emulated lossy link if asked."""

import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from auralink.codecs.errors import InputError
from auralink.codecs.video.profiles import open_decoder
from auralink.engine.cli import values
from auralink.engine.cli.codec import not_onto_itself
from auralink.engine.cli.networks import open_networks, open_neural
from auralink.engine.cli.terminal import Facts, Json, note, print_facts, print_json, progress
from auralink.engine.link.netem import LinkSettings
from auralink.engine.media.decoding import FilePlayer, Shown, stream_config
from auralink.engine.media.faults import counted
from auralink.engine.media.writer import ClipWriter


@dataclass(slots=True, kw_only=True)
class _Tally:
    units: int = 0
    pictures: int = 0
    frozen: int = 0
    restored: int = 0
    first_fault: str = ""
    decode_ms: list[float] = field(default_factory=list)

    def add(self, shown: Shown) -> None:
        self.units += 1
        self.pictures += shown.frame is not None
        self.frozen += not shown.fresh
        if shown.picture is not None:
            self.decode_ms.append(shown.decode_ms)
            self.restored += shown.picture.restored
            if shown.picture.reason and not self.first_fault:
                self.first_fault = f"unit {shown.picture.number}: {shown.picture.reason}"


def decode(
    source: Annotated[Path, typer.Argument(metavar="IN.aic")],
    target: Annotated[Path, typer.Argument(metavar="OUT.y4m|OUT.mkv", help="Both lossless.")],
    neural: Annotated[bool, typer.Option(help="Use the neural layer.")] = True,
    loss: Annotated[
        float, typer.Option(parser=values.share, metavar="SHARE", help="Lose packets: 10%.")
    ] = 0.0,
    burst: Annotated[
        float | None, typer.Option(min=1, help="Mean length of a run of losses; default: random.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the losses.")] = 1,
    json: Json = False,
) -> int:
    """Decode an .aic file to .y4m or .mkv.

    Exits 1 if pictures could not be decoded although no loss was asked for.
    """
    if burst is not None and not loss:
        raise InputError("--burst says how --loss is spread: give --loss too")
    not_onto_itself(str(source), target)
    config = stream_config(source)
    decoder = open_decoder(open_networks() if neural else None, open_neural)
    player = FilePlayer(source, decoder, link=LinkSettings(loss=loss, burst=burst), seed=seed)
    tally = _Tally()
    try:
        with ClipWriter(target, fps=1e9 / config.interval_ns) as writer:
            _play(player, writer, tally, quiet=json)
    finally:
        decoder.close()
    return _conclude(player, tally, target, loss=loss, json=json)


def _play(player: FilePlayer, writer: ClipWriter, tally: _Tally, *, quiet: bool) -> None:
    try:
        with progress("decoding", None, quiet=quiet) as bar:
            for shown in player:
                if shown.frame is not None:
                    writer.write(shown.frame)
                tally.add(shown)
                bar.advance(f"{shown.decode_ms:5.1f} ms")
    except BaseException:
        if writer.frames:
            note(f"partial: {writer.partial} keeps {counted(writer.frames, 'picture')}")
        raise


def _conclude(player: FilePlayer, tally: _Tally, target: Path, *, loss: float, json: bool) -> int:
    if json:
        print_json(_as_json(player, tally, target))
    else:
        print_facts(_as_facts(player, tally, target, loss=loss))
    if tally.frozen and not loss:
        note(f"warning: the file is damaged: {counted(tally.frozen, 'picture')} not decoded")
        return 1
    if tally.frozen:
        note("nobody answers for a file; encode it with --parity 30% to have losses repaired")
    return 0


def _as_facts(player: FilePlayer, tally: _Tally, target: Path, *, loss: float) -> Facts:
    facts = [
        ("file", str(target)),
        ("pictures", f"{tally.pictures} of {tally.units} units, {tally.frozen} held from before"),
        ("neural", f"{counted(tally.restored, 'picture')} restored"),
    ]
    if tally.decode_ms:
        facts.append(("decoding", f"{statistics.median(tally.decode_ms):.1f} ms a picture"))
    if loss:
        counts = player.counts
        facts.append(
            ("link", f"{counts.lost} of {counts.sent} packets lost, {player.recovered} repaired")
        )
    if tally.first_fault:
        facts.append(("first fault", tally.first_fault))
    return facts


def _as_json(player: FilePlayer, tally: _Tally, target: Path) -> dict[str, object]:
    return {
        "file": str(target),
        "units": tally.units,
        "pictures": tally.pictures,
        "frozen": tally.frozen,
        "restored": tally.restored,
        "recovered_packets": player.recovered,
        "first_fault": tally.first_fault or None,
        "decode_ms_median": statistics.median(tally.decode_ms) if tally.decode_ms else None,
        "link": asdict(player.counts),
    }
