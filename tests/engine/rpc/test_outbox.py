"""A slow reader loses the oldest units that nothing depends on, and no outcome."""

from hypothesis import given
from hypothesis import strategies as st

from auralink.engine.rpc.outbox import LIMIT, Outbox
from auralink.engine.rpc.stubs import aic_compression_pb2 as pb


def response(number: int) -> pb.CompressFrameResponse:
    return pb.CompressFrameResponse(frame_number=number, compressed_data=b"unit")


def drain(box: Outbox) -> list[pb.CompressFrameResponse]:
    taken = []
    while (one := box.take()) is not None:
        taken.append(one)
    return taken


def test_the_oldest_droppable_unit_goes_first() -> None:
    box = Outbox()
    for number in range(LIMIT):
        assert box.put(response(number), droppable=number % 2 == 1)

    assert box.put(response(LIMIT), droppable=False)

    taken = drain(box)
    assert [one.frame_number for one in taken if not one.compressed_data] == [1]
    assert taken[1].status == pb.STATUS_FALLBACK
    assert taken[1].fallback_used
    assert "slow reader" in taken[1].fallback_reason


def test_without_droppable_units_all_go_and_a_key_is_wanted() -> None:
    box = Outbox()
    for number in range(LIMIT):
        assert box.put(response(number), droppable=False)

    assert not box.put(response(LIMIT), droppable=False)

    assert not [one for one in drain(box) if one.compressed_data]
    assert box.given_up == LIMIT + 1


@given(st.lists(st.one_of(st.booleans(), st.none()), max_size=200))
def test_every_frame_has_its_outcome_in_order_and_memory_is_bounded(
    steps: list[bool | None],
) -> None:
    box, entered, taken = Outbox(), 0, []
    for droppable in steps:
        if droppable is None:
            one = box.take()
            taken += [] if one is None else [one]
            continue
        box.put(response(entered), droppable=droppable)
        entered += 1
        held = sum(bool(one.response.compressed_data) for one in box._waiting)
        assert held <= LIMIT

    taken += drain(box)
    assert [one.frame_number for one in taken] == list(range(entered))
