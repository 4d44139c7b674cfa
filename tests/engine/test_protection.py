"""How much parity, what is dropped before it is sent, what is sent again: pure decisions."""

import random

import pytest

from auralink.codecs.video.protocol import Coded, Kind, Outcome, ReceiverReport
from auralink.engine.link.netem import LinkSettings, Netem
from auralink.engine.link.pacing import MOST_WAIT_MS, Pacer, Waiting, choose_drops
from auralink.engine.link.protection import STEPS, Protection
from auralink.engine.link.resending import MOST_GAPS, MOST_TRIES, Arrivals, Feedback, Gap, Resender
from auralink.engine.link.sender import Ledger

# -- protection ------------------------------------------------------------------------------


def hear(protection: Protection, loss: float, *, packets: int = 8, times: int = 60) -> None:
    for _ in range(times):
        protection.heard(loss, packets)


def test_no_loss_no_parity() -> None:
    protection = Protection()

    hear(protection, 0.0)

    assert protection.strength == 0.0


@pytest.mark.parametrize("step", STEPS)
def test_steady_loss_gets_its_step(step: object) -> None:
    protection = Protection()

    hear(protection, step.loss * 1.05, times=200)  # type: ignore[attr-defined]

    assert protection.strength == step.strength  # type: ignore[attr-defined]


def test_attack_is_faster_than_release() -> None:
    protection = Protection()
    hear(protection, 0.0)
    up = reports_until(protection, 0.2, lambda: protection.strength >= 0.25)
    hear(protection, 0.2)
    down = reports_until(protection, 0.0, lambda: protection.strength == 0.0)

    assert up <= 5
    assert down > 3 * up


def test_loss_about_a_threshold_does_not_make_it_flutter() -> None:
    protection = Protection()
    hear(protection, 0.07)
    seen = set()

    for i in range(100):
        protection.heard(0.06 if i % 2 else 0.075, 8)
        seen.add(protection.strength)

    assert len(seen) == 1


def test_one_lost_packet_of_a_long_clean_call_is_no_reason() -> None:
    protection = Protection()
    hear(protection, 0.0, times=100)

    protection.heard(1 / 8, 8)

    assert protection.strength == 0.0


def test_a_report_about_nothing_changes_nothing() -> None:
    protection = Protection()
    hear(protection, 0.1)
    before = protection.loss

    protection.heard(1.0, 0)

    assert protection.loss == before


@pytest.mark.parametrize(("burst", "low", "high"), [(None, 1.0, 1.8), (4.0, 2.2, 6.0)])
def test_the_length_of_bursts_is_told_from_the_spread(
    burst: float | None, low: float, high: float
) -> None:
    protection = Protection()
    link = Netem(LinkSettings(loss=0.1, burst=burst), seed=2)

    for report in range(600):
        for _ in range(8):
            link.send(report, b"packet")
        protection.heard(1 - len(link.poll(report)) / 8, 8)

    assert 0.04 < protection.loss < 0.25
    assert low <= protection.burst <= high


def reports_until(protection: Protection, loss: float, done: object) -> int:
    for count in range(1, 1000):
        protection.heard(loss, 8)
        if done():  # type: ignore[operator]
            return count
    raise AssertionError("never")


def test_own_drops_are_counted_apart() -> None:
    ledger = Ledger()
    for number in range(10):
        ledger.sent(number, [bytes([0x40, 0, number])])
    ledger.dropped(3)
    ledger.dropped(5)

    assert ledger.reported(7) == (8, 2)
    assert ledger.reported(7) == (0, 0)
    assert ledger.reported(None) == (0, 0)
    assert ledger.reported(9) == (2, 0)


# -- pacing ----------------------------------------------------------------------------------


def waiting(*units: tuple[int, bool]) -> list[Waiting]:
    return [Waiting(unit=unit, droppable=drop, packet=bytes(100)) for unit, drop in units]


def test_droppable_units_go_oldest_first_and_whole() -> None:
    queue = waiting((1, False), (2, True), (2, True), (3, False), (4, True), (6, True))

    assert choose_drops(queue, excess_bits=0) == frozenset()
    assert choose_drops(queue, excess_bits=1) == {2}
    assert choose_drops(queue, excess_bits=1700) == {2, 4}
    assert choose_drops(queue, excess_bits=1e9) == {2, 4, 6}


def test_reference_units_always_arrive_in_order() -> None:
    rng = random.Random(4)
    pacer, left, dropped = Pacer(80_000), [], set()

    for number in range(200):
        packets = [bytes([number]) + bytes(rng.randrange(200, 600))]
        dropped |= pacer.enter(number * 33_333, number, packets, droppable=number % 2 == 1)
        left += [packet[0] for packet in pacer.take(number * 33_333)]
    left += [packet[0] for packet in pacer.take(10**9)]

    assert left == sorted(left)
    assert set(left) == set(range(200)) - dropped
    assert dropped
    assert all(number % 2 for number in dropped)


def test_packets_leave_at_the_rate() -> None:
    pacer = Pacer(80_000)  # 10 bytes a millisecond
    pacer.enter(0, 0, [bytes(100)] * 5, droppable=False)

    times = [now for now in range(0, 100_000, 1000) for _ in pacer.take(now)]

    assert times == [0, 10_000, 20_000, 30_000, 40_000]
    assert pacer.idle


def test_a_burst_leaves_at_once_and_is_paid_for_after() -> None:
    pacer = Pacer(80_000, burst_s=0.02)  # 200 bytes
    pacer.enter(0, 0, [bytes(100)] * 5, droppable=False)

    times = [now for now in range(0, 100_000, 1000) for _ in pacer.take(now)]

    assert times == [0, 0, 0, 10_000, 20_000]
    pacer.enter(25_000, 1, [bytes(100)], droppable=False)
    assert pacer.wait_ms(25_000) > 0  # what the burst took is not yet paid for
    assert not pacer.take(25_000)
    assert len(pacer.take(30_000)) == 1


def test_a_link_with_a_short_queue_loses_no_key() -> None:
    key = [bytes(1000)] * 8  # half a second of the link
    pacer = Pacer(120_000, burst_s=0.1)
    paced, flooded = (Netem(LinkSettings(rate_bps=120_000, queue_ms=300), seed=1) for _ in range(2))
    pacer.enter(0, 0, key, droppable=False)

    for packet_ in key:
        flooded.send(0, packet_)
    for now_us in range(0, 1_000_000, 4_000):
        for packet_ in pacer.take(now_us):
            paced.send(now_us, packet_)

    assert flooded.counts.dropped > 0
    assert paced.counts.sent == 8
    assert paced.counts.dropped == 0


def test_what_is_sent_again_goes_first() -> None:
    pacer = Pacer(80_000)
    pacer.enter(0, 1, [b"1a", b"1b"], droppable=False)

    pacer.enter(0, -1, [b"0a", b"0b"], droppable=False, urgent=True)

    assert pacer.take(10**9) == [b"0a", b"0b", b"1a", b"1b"]


def test_without_a_rate_nothing_waits() -> None:
    pacer = Pacer()

    dropped = pacer.enter(0, 0, [bytes(1000)] * 50, droppable=True)

    assert not dropped
    assert pacer.wait_ms(0) == 0
    assert len(pacer.take(0)) == 50


def test_a_short_queue_is_left_alone() -> None:
    pacer = Pacer(80_000)

    dropped = pacer.enter(0, 1, [bytes(round(10 * MOST_WAIT_MS) - 10)], droppable=True)

    assert not dropped


# -- sending again ---------------------------------------------------------------------------


def packet(number: int, *, reference: bool = True, index: int = 0, count: int = 1) -> bytes:
    """A delta packet on the unit before it."""
    head = 1 << 6 | reference << 5 | 1 << 2 | (count > 1) << 1
    fragment = bytes([index, count - 1]) if count > 1 else b""
    return bytes([head, number >> 8 & 255, number & 255]) + fragment + b"payload"


def unit(number: int, *, reference: bool = True, count: int = 1) -> Coded:
    return Coded(
        outcome=Outcome.CODED,
        packets=tuple(
            packet(number, reference=reference, index=i, count=count) for i in range(count)
        ),
        number=number,
        kind=Kind.DELTA,
        reference=reference,
    )


def feedback(
    newest: int | None, highest: int | None, arrived: set[int], gaps: tuple[Gap, ...] = ()
) -> Feedback:
    mask = sum(1 << (highest or 0) - number for number in arrived)
    report = ReceiverReport(newest=newest, decoded=1, highest=highest, loss=0.1, stuck=True)
    return Feedback(report=report, arrived=mask, gaps=gaps)


def resender(count: int) -> Resender:
    made = Resender()
    for number in range(count):
        made.sent(unit(number, reference=number % 2 == 0))
    return made


def test_sends_the_missing_reference_units_again() -> None:
    answer = resender(10).answer(feedback(3, 9, {8, 9}))

    assert answer == (packet(4), packet(6))


def test_waits_for_an_answer_that_is_under_way() -> None:
    made = resender(10)
    made.answer(feedback(3, 9, {5, 6, 7, 8, 9}))
    made.sent(unit(10))

    assert made.answer(feedback(3, 9, {5, 6, 7, 8, 9})) == ()
    # Unit 10 left after the answer and has arrived, so the answer is lost: now two copies.
    assert made.answer(feedback(3, 10, {5, 6, 7, 8, 9, 10})) == (packet(4), packet(4))


def test_asks_the_encoder_when_sending_again_does_not_help() -> None:
    made, tries = resender(6), 0
    for number in range(6, 20):
        answer = made.answer(feedback(3, number - 1, {5, *range(6, number)}))
        if answer is None:
            break
        tries += bool(answer)
        made.sent(unit(number, reference=False))

    assert answer is None
    assert tries == MOST_TRIES


@pytest.mark.parametrize(
    "told",
    [
        feedback(None, None, set()),  # nothing arrived at all
        feedback(3, 9, {4, 5, 6, 7, 8, 9}),  # all is there, but cannot be decoded
        feedback(3, 40, {40}),  # too far behind
    ],
)
def test_asks_the_encoder_when_there_is_nothing_to_send(told: Feedback) -> None:
    assert resender(60).answer(told) is None


def test_a_unit_whose_packets_still_arrive_is_not_sent_again() -> None:
    made = Resender()
    made.sent(unit(0, count=3))

    assert made.answer(feedback(None, 0, set())) == ()


def test_arrivals_are_told_by_whole_units() -> None:
    arrivals = Arrivals()
    for datagram in (packet(7, count=2), packet(8), packet(9, count=2, index=1), b"\xff", b""):
        arrivals.note(datagram)
    arrivals.note(packet(9, count=2, index=0))

    assert arrivals.mask(9) == 0b011
    assert arrivals.mask(None) == 0


def test_of_a_unit_that_arrived_in_part_only_the_rest_is_sent_again() -> None:
    made = Resender()
    made.sent(unit(0, count=8))
    made.sent(unit(1))

    answer = made.answer(feedback(None, 1, {1}, (Gap(0, 2), Gap(0, 5))))

    assert answer == (packet(0, index=2, count=8), packet(0, index=5, count=8))


def test_a_second_gap_of_a_unit_does_not_wait_for_the_first() -> None:
    made = Resender()
    made.sent(unit(0, count=8))

    first = made.answer(feedback(None, 0, set(), (Gap(0, 2),)))
    second = made.answer(feedback(None, 0, set(), (Gap(0, 2), Gap(0, 5))))

    assert first == (packet(0, index=2, count=8),)
    assert second == (packet(0, index=5, count=8),)


def test_a_gap_that_was_never_sent_is_ignored() -> None:
    made = Resender()
    made.sent(unit(0, count=2))
    made.sent(unit(1))

    assert made.answer(feedback(None, 1, {1}, (Gap(0, 9), Gap(0, 1)))) == (
        packet(0, index=1, count=2),
    )


def test_gaps_are_told_oldest_first_and_of_the_newest_unit_when_later_packets_came() -> None:
    arrivals = Arrivals()
    for number, index in ((7, 0), (7, 2), (8, 0), (9, 0), (9, 3)):
        arrivals.note(packet(number, index=index, count=1 if number == 8 else 5))

    gaps = [(gap.number, gap.index) for gap in arrivals.gaps(None, 9)]

    assert gaps == [(7, 1), (7, 3), (7, 4), (9, 1)]  # 9's packet 2 may just be overtaken
    assert arrivals.gaps(8, 9) == (Gap(9, 1),)
    assert arrivals.gaps(None, None) == ()


def test_a_unit_with_more_gaps_than_a_report_names_is_not_named() -> None:
    arrivals = Arrivals()
    arrivals.note(packet(3, index=0, count=5))
    arrivals.note(packet(4, index=0, count=MOST_GAPS))
    arrivals.note(packet(5))

    assert {gap.number for gap in arrivals.gaps(None, 5)} == {3}
