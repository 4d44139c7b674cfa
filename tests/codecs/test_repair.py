"""The sender's answer to a stuck receiver."""

from auralink.codecs.video.protocol import ReceiverReport
from auralink.codecs.video.repair import NUMBERS, RepairPolicy


def report(newest: int | None, *, stuck: bool, highest: int | None = None) -> ReceiverReport:
    held = 0 if newest is None else (1 << min(newest + 1, 64)) - 1
    return ReceiverReport(
        newest=newest,
        decoded=held,
        highest=newest if highest is None else highest,
        loss=0.0,
        stuck=stuck,
    )


def started(count: int) -> RepairPolicy:
    """Key 0 and ``count - 1`` units, all acknowledged but the last ten."""
    policy = RepairPolicy()
    for number in range(count):
        policy.sent(number, key=number == 0, repair=False)
    policy.report(report(count - 11, stuck=False))
    return policy


def test_asks_for_nothing_while_all_goes_well() -> None:
    repair = started(30).next()

    assert not repair.needed
    assert repair.predict_from is None


def test_repairs_from_what_was_acknowledged() -> None:
    policy = started(30)
    policy.report(report(22, stuck=True, highest=28))

    repair = policy.next()

    assert repair.needed
    assert repair.predict_from is not None
    assert max(repair.predict_from) == 22


def test_answers_once_while_the_answer_is_under_way() -> None:
    policy = started(30)
    policy.report(report(22, stuck=True, highest=28))
    policy.sent(30, key=False, repair=True)

    policy.report(report(22, stuck=True, highest=29))
    repair = policy.next()

    assert not repair.needed
    assert repair.predict_from is not None
    assert 30 in repair.predict_from


def test_frames_after_the_repair_may_use_it_until_it_is_acknowledged() -> None:
    policy = started(30)
    policy.report(report(22, stuck=True, highest=28))
    policy.sent(30, key=False, repair=True)
    policy.sent(31, key=False, repair=False)

    assert policy.next().predict_from is not None
    policy.report(report(31, stuck=False))
    assert policy.next().predict_from is None


def test_repairs_again_when_the_repair_was_lost() -> None:
    policy = started(30)
    policy.report(report(22, stuck=True, highest=28))
    for number in range(30, 36):
        policy.sent(number, key=False, repair=number == 30)

    policy.report(report(22, stuck=True, highest=34))

    assert policy.next().needed


def test_a_key_of_its_own_counts_as_the_answer() -> None:
    policy = started(30)
    policy.report(report(22, stuck=True, highest=28))
    policy.sent(30, key=True, repair=False)

    assert not policy.next().needed


def test_the_first_key_under_way_is_not_answered_with_another() -> None:
    policy = RepairPolicy()
    policy.sent(0, key=True, repair=False)

    policy.report(report(None, stuck=True, highest=0))

    assert not policy.next().needed


def test_reports_are_understood_across_the_wrap_of_numbers() -> None:
    policy = RepairPolicy()
    first = NUMBERS - 20
    for number in range(first, first + 40):
        policy.sent(number, key=number == first, repair=False)
    policy.report(report((first + 39) % NUMBERS, stuck=False))

    policy.report(report((first + 39) % NUMBERS, stuck=True))
    repair = policy.next()

    assert repair.predict_from is not None
    assert max(repair.predict_from) == first + 39
