"""When a stream changes its AV1 engine."""

from auralink.codecs.video.engine_choice import EngineChoice

SECOND = 1_000_000


def test_one_repair_is_chance() -> None:
    assert EngineChoice("auto").repair(5 * SECOND) == "auto"


def test_two_repairs_soon_after_each_other_call_for_references() -> None:
    choice = EngineChoice("auto")
    choice.repair(5 * SECOND)

    assert choice.repair(9 * SECOND) == "aom"


def test_repairs_far_apart_do_not() -> None:
    choice = EngineChoice("auto")
    choice.repair(5 * SECOND)

    assert choice.repair(50 * SECOND) == "auto"


def test_goes_back_at_a_key_after_a_calm_time() -> None:
    choice = EngineChoice("auto")
    choice.repair(5 * SECOND)
    choice.repair(9 * SECOND)

    assert choice.key(20 * SECOND) == "aom"
    assert choice.key(60 * SECOND) == "auto"


def test_a_fixed_engine_stays() -> None:
    choice = EngineChoice("svt")
    choice.repair(5 * SECOND)

    assert choice.repair(6 * SECOND) == "svt"
    assert choice.key(90 * SECOND) == "svt"
