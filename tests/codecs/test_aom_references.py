"""The reference structure: what is predicted from what, whatever gets lost."""

from hypothesis import given
from hypothesis import strategies as st

from auralink.codecs.base.aom_references import DROPPABLE, RING, Plan, ReferenceStructure


def code(structure: ReferenceStructure, number: int, **wish: object) -> Plan:
    plan = structure.plan(**wish)  # type: ignore[arg-type]
    structure.commit(number, plan)
    return plan


def coded(count: int) -> ReferenceStructure:
    structure = ReferenceStructure()
    for number in range(count):
        code(structure, number)
    return structure


def test_starts_with_a_key_and_goes_on_in_three_layers() -> None:
    structure = ReferenceStructure()

    plans = [code(structure, number) for number in range(9)]

    assert [plan.key for plan in plans] == [True] + [False] * 8
    assert [plan.layer for plan in plans] == [0, 2, 1, 2, 0, 2, 1, 2, 0]


def test_predicts_from_the_two_newest_stored_pictures_newest_first() -> None:
    structure = ReferenceStructure()

    depends = [code(structure, number).depends for number in range(9)]

    assert depends == [(), (0,), (0,), (2, 0), (2, 0), (4, 2), (4, 2), (6, 4), (6, 4)]


def test_never_stores_the_droppable_layer() -> None:
    structure = ReferenceStructure()

    plans = [code(structure, number) for number in range(50)]

    assert all((plan.stored_in is None) == (plan.layer == DROPPABLE) for plan in plans[1:])


def test_keeps_base_pictures_for_28_frames() -> None:
    structure = coded(41)

    plan = structure.plan(predict_from=set(range(13, 17)))

    assert plan.depends == (16,)


def test_a_forced_key_starts_the_pattern_again() -> None:
    structure = coded(7)

    assert code(structure, 7, key=True).key
    assert [code(structure, number).layer for number in (8, 9, 10, 11)] == [2, 1, 2, 0]


def test_an_empty_set_gives_a_key() -> None:
    assert coded(10).plan(predict_from=frozenset()).key


def test_a_set_of_pictures_no_longer_stored_gives_a_key() -> None:
    assert coded(60).plan(predict_from=frozenset({0, 4, 57, 59})).key


def test_a_repair_is_a_base_frame_from_acknowledged_pictures_and_restarts_the_pattern() -> None:
    structure = coded(15)  # 12 is the newest base picture

    repair = code(structure, 15, predict_from=set(range(8)))

    assert (repair.layer, repair.depends) == (0, (4, 0))
    assert [code(structure, number).layer for number in (16, 17, 18, 19)] == [2, 1, 2, 0]


def test_the_pattern_goes_on_when_the_newest_base_picture_is_acknowledged() -> None:
    structure = coded(15)  # 12 is the newest base picture, 14 the middle one

    plan = structure.plan(predict_from=set(range(14)))

    assert (plan.layer, plan.depends) == (2, (12, 8))


def test_doubted_pictures_stay_unused_after_the_repair_without_being_named_again() -> None:
    structure = coded(15)
    held = set(range(8))
    code(structure, 15, predict_from=held)
    held.add(15)

    for number in range(16, 60):
        plan = code(structure, number)
        assert set(plan.depends) <= held
        held.add(number)


def test_a_doubted_picture_is_used_again_once_acknowledged() -> None:
    structure = coded(15)
    code(structure, 15, predict_from={0, 4})  # replaces 12, the likeliest to be broken

    plan = structure.plan(predict_from={8})

    assert plan.depends == (8,)


def test_planning_changes_nothing() -> None:
    structure = coded(15)

    structure.plan(predict_from=frozenset())

    assert structure.plan() == coded(15).plan()


@given(
    st.lists(
        st.tuples(st.booleans(), st.none() | st.integers(0, 40), st.integers(0, 2**41 - 1)),
        max_size=150,
    )
)
def test_depends_are_exactly_what_the_slots_hold(
    orders: list[tuple[bool, int | None, int]],
) -> None:
    structure = ReferenceStructure()
    slots: dict[int, int] = {}
    for number, (key, span, bits) in enumerate(orders):
        allowed = None
        if span is not None:
            allowed = {number - i for i in range(span + 1) if bits >> i & 1}
        plan = code(structure, number, key=key and number % 7 == 0, predict_from=allowed)

        assert tuple(slots[slot] for slot in plan.references) == plan.depends
        assert len(set(plan.depends)) == len(plan.depends) <= 2
        assert allowed is None or set(plan.depends) <= allowed
        if plan.key:
            slots = dict.fromkeys((*RING, 7), number)
        elif plan.stored_in is not None:
            slots[plan.stored_in] = number
