"""A call in virtual time over a bad link: what the viewer sees, and what the sender does."""

from functools import cache

import numpy as np
import pytest

from auralink.codecs.frame import Frame
from auralink.codecs.video.options import EncoderOptions, Engine
from auralink.codecs.video.profiles import open_decoder, open_encoder
from auralink.codecs.video.protocol import Kind, Outcome, Status
from auralink.codecs.video.rate.controller import RateOptions
from auralink.engine.link.call import (
    Call,
    Played,
    Recording,
    Sending,
    simulate,
)
from auralink.engine.link.netem import LinkSettings
from auralink.engine.link.pacing import MOST_WAIT_MS
from auralink.engine.link.receiving import URGENT_EVERY_US

from ..codecs.pictures import moving, psnr

FPS = 30
FRAME_US = 1e6 / FPS
RTT_US = 100_000
SIZE = (96, 80)
RATE = 60_000
PATTERNS = [(loss, burst) for loss in (0.05, 0.1, 0.2) for burst in (None, 3.0)]
ENGINES: tuple[Engine, ...] = ("svt", "aom")


@cache
def pictures(count: int) -> tuple[Frame, ...]:
    return tuple(moving(number, SIZE, fps=FPS) for number in range(count))


def call(
    engine: Engine = "svt",
    *,
    loss: float = 0.0,
    burst: float | None = None,
    rate_bps: float | None = None,
    sending: Sending | None = None,
    seed: int = 3,
) -> Call:
    link = LinkSettings(delay_ms=RTT_US / 2e3, loss=loss, burst=burst, rate_bps=rate_bps)
    return Call(
        open_encoder(
            "hybrid",
            fps=FPS,
            # A small first key, so that no frame is left out at the start and numbers are indices.
            options=EncoderOptions(
                preset=10,
                engine=engine,
                scaling=False,
                screen=False,
                rate=RateOptions(first_key_s=0),
            ),
        ),
        open_decoder(),
        bitrate_bps=RATE,
        there=link,
        seed=seed,
        sending=sending,
    )


@cache
def lossy(engine: Engine, loss: float, burst: float | None, resend: bool) -> Recording:
    sending = Sending(parity=0.0, resend=resend)
    return simulate(call(engine, loss=loss, burst=burst, sending=sending), pictures(100))


@pytest.mark.parametrize("resend", [False, True], ids=["repair", "resend"])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("loss", "burst"), PATTERNS)
def test_only_good_pictures_are_shown_however_much_is_lost(
    engine: Engine, loss: float, burst: float | None, resend: bool
) -> None:
    made = lossy(engine, loss, burst, resend)

    assert made.state.there.lost > 0
    assert all(played.picture.status is not Status.FROZEN for played in made.played)
    numbers = [played.picture.number for played in made.played]
    assert numbers == sorted(set(numbers))
    for played in made.played:
        assert psnr(of(played), source(played)) > 22
    # It never stays stuck for long, though reports and repairs get lost as well.
    assert all((end or 5_000_000) - start < 2_000_000 for start, end in made.stuck)


@pytest.mark.parametrize("resend", [False, True], ids=["repair", "resend"])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("lost", [1, 3])
@pytest.mark.parametrize("first", [30, 34])
def test_recovers_within_a_round_trip_a_report_and_two_frames(
    engine: Engine, first: int, lost: int, resend: bool
) -> None:
    made = outage(engine, first, lost, resend)

    assert len(made.stuck) == 1
    start, end = made.stuck[0]
    assert end is not None
    assert end - start <= RTT_US + URGENT_EVERY_US + 2 * FRAME_US
    after = [sent.coded for sent in made.sent[first:]]
    if resend:
        assert made.state.sender.resent > 0
        assert all(unit.kind is not Kind.KEY for unit in after)
    elif engine == "svt":
        assert sum(unit.kind is Kind.KEY for unit in after) == 1
    else:
        assert all(unit.kind is not Kind.KEY for unit in after)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_last_good_picture_stays_while_nothing_can_be_decoded(engine: Engine) -> None:
    made = outage(engine, 32, 1, False)

    (start, end) = made.stuck[0]
    before = [played for played in made.played if played.at_us < start]
    during = [played for played in made.played if start <= played.at_us < (end or 0)]
    assert before[-1].picture.number < 32
    assert during == []


@pytest.mark.parametrize("engine", ENGINES)
def test_losing_a_unit_that_none_needs_asks_for_nothing(engine: Engine) -> None:
    made = outage(engine, 33, 1, False)

    assert made.sent[33].coded.reference is False
    assert made.stuck == ()
    assert len(made.played) == len(made.sent) - 1


@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_is_repaired_or_protected_without_loss(engine: Engine) -> None:
    made = simulate(call(engine, sending=Sending(resend=True)), pictures(90))

    assert made.stuck == ()
    assert made.state.sender.resent == 0
    assert sum(sent.coded.parity_bytes for sent in made.sent) == 0
    assert [sent.coded.kind for sent in made.sent].count(Kind.KEY) == 1
    assert all(sent.coded.outcome is Outcome.CODED for sent in made.sent)
    assert len(made.played) == 90


def test_parity_comes_with_loss_and_rebuilds() -> None:
    made = simulate(call(loss=0.15), pictures(100))

    assert made.state.loss > 0.05
    assert sum(sent.coded.parity_bytes for sent in made.sent) > 0
    assert made.state.received.recovered > 0


@pytest.mark.parametrize("engine", ENGINES)
def test_a_link_that_shrinks_loses_units_that_none_needs_first(engine: Engine) -> None:
    calls = call(engine, sending=Sending(parity=0.0, pacing_bps=2 * RATE))

    def shrink(now_us: int) -> None:
        if now_us > 2_000_000:  # the pacer knows at once, rate control is told nothing
            calls.steer(now_us, bitrate_bps=RATE, pacing_bps=0.85 * RATE)

    made = simulate(calls, pictures(120), before=shrink)

    shown = {played.picture.number for played in made.played}
    dropped = [sent.coded for sent in made.sent if sent.coded.number not in shown]
    assert made.state.sender.dropped_units == len(dropped) > 5
    assert not any(unit.reference for unit in dropped)
    assert not [since for since, _ in made.stuck if since > 1_000_000]
    assert made.state.loss == 0.0  # our own drops are not taken for the link's
    late = [played for played in made.played if (played.latency_ms or 0) > 50 + 3 * MOST_WAIT_MS]
    assert late == []


def test_the_same_seed_gives_the_same_call() -> None:
    def bits(seed: int) -> list[tuple[int, Kind, int]]:
        made = simulate(call(loss=0.1, burst=3.0, seed=seed), pictures(60))
        return [(sent.coded.number, sent.coded.kind, sent.coded.size) for sent in made.sent]

    assert bits(5) == bits(5)
    assert bits(5) != bits(6)


@cache
def outage(engine: Engine, first: int, lost: int, resend: bool) -> Recording:
    """Frames ``first`` and on, ``lost`` of them, are lost on the way; nothing else is."""
    calls = call(engine, sending=Sending(parity=0.0, resend=resend))

    def cut(now_us: int) -> None:
        frame = now_us // int(FRAME_US)
        inside = first <= frame < first + lost
        link = LinkSettings(delay_ms=RTT_US / 2e3, loss=1.0 if inside else 0.0)
        calls.steer(now_us, bitrate_bps=RATE, there=link)

    return simulate(calls, pictures(60), before=cut)


def of(played: Played) -> np.ndarray:
    assert played.picture.frame is not None
    return played.picture.frame.y


def source(played: Played) -> np.ndarray:
    assert played.picture.frame is not None
    return moving(round(played.picture.frame.pts_us * FPS / 1e6), SIZE, fps=FPS).y
