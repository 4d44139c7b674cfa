from dataclasses import replace

import numpy as np
import onnx
import pytest

from auralink.codecs.video.protocol import Hidden, Networks, Restoration
from auralink.models.guard import MAX_MEAN_DIFFERENCE, Fault, judge
from auralink.models.manifest import Precision, TensorSpec
from auralink.models.runtime import MAX_SIZES, OnnxNetworks, open_networks
from auralink.models.store import Model, Store

from .pictures import Plane, pattern

PRECISIONS: list[Precision] = ["fp32", "int8"]


def restore(
    networks: Networks, current: Plane, before: Plane | None = None, hidden: Hidden | None = None
) -> Restoration | None:
    return networks.restore(
        current,
        current if before is None else before,
        hidden,
        quantizer=190,
        scale=0.5,
        reference=True,
    )


@pytest.fixture(scope="module", params=PRECISIONS)
def networks(request: pytest.FixtureRequest, store: Store) -> OnnxNetworks:
    return OnnxNetworks.open(store, 1, request.param)


@pytest.mark.parametrize(
    ("width", "height"), [(64, 48), (63, 47), (66, 49), (5, 7), (1, 1), (90, 160)]
)
def test_any_size_keeps_its_size_and_changes_little(
    networks: OnnxNetworks, width: int, height: int
) -> None:
    picture = pattern(width, height)

    made = restore(networks, picture)

    assert made is not None
    assert made.luma.shape == picture.shape
    assert made.luma.dtype == np.uint8
    assert made.luma.flags.c_contiguous
    assert made.hidden.shape[2:] == (-(-height // 4), -(-width // 4))
    difference = np.abs(made.luma.astype(int) - picture)
    assert difference.max() <= 43  # the network's reach
    assert difference.mean() < MAX_MEAN_DIFFERENCE / 2


def test_sharpens_a_blurred_edge(networks: OnnxNetworks) -> None:
    edge = np.repeat(np.clip(np.arange(96) * 16 - 680, 40, 200)[None], 64, 0).astype(np.uint8)

    made = restore(networks, edge)

    assert made is not None
    steepest = np.diff(made.luma[32].astype(int)).max()
    assert steepest >= np.diff(edge[32].astype(int)).max()


def test_leaves_a_flat_picture_nearly_alone(networks: OnnxNetworks) -> None:
    flat = np.full((64, 96), 120, np.uint8)

    made = restore(networks, flat)

    assert made is not None
    assert np.abs(made.luma.astype(int) - flat).max() <= 3


def test_same_inputs_give_the_same_outputs(networks: OnnxNetworks) -> None:
    def run() -> tuple[Plane, Hidden]:
        output, hidden = None, None
        for seed in range(4):
            made = restore(networks, pattern(80, 60, seed=seed), output, hidden)
            assert made is not None
            output, hidden = made.luma, made.hidden
        assert output is not None
        assert hidden is not None
        return output, hidden

    first, second = run(), run()

    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])


def test_the_state_matters(networks: OnnxNetworks) -> None:
    first = restore(networks, pattern(80, 60, seed=1))
    assert first is not None

    alone = restore(networks, pattern(80, 60, seed=2))
    after = restore(networks, pattern(80, 60, seed=2), first.luma, first.hidden)

    assert alone is not None
    assert after is not None
    assert not np.array_equal(alone.luma, after.luma)


def test_does_not_drift_without_a_key(networks: OnnxNetworks) -> None:
    pictures = [pattern(64, 48, seed=seed) for seed in range(4)]
    output, hidden, changes = None, None, []

    for at in range(160):
        made = restore(networks, pictures[at % 4], output, hidden)
        assert made is not None
        output, hidden = made.luma, made.hidden
        changes.append(np.abs(output.astype(int) - pictures[at % 4]).mean())

    assert abs(np.mean(changes[-4:]) - np.mean(changes[12:16])) < 0.5


def test_does_not_write_to_its_inputs(networks: OnnxNetworks) -> None:
    picture = pattern(64, 48)
    picture.flags.writeable = False
    copy = picture.copy()

    made = restore(networks, picture)

    assert made is not None
    assert np.array_equal(picture, copy)
    assert not np.shares_memory(made.luma, picture)


def test_both_precisions_agree(store: Store) -> None:
    picture = pattern(160, 96)

    made = [restore(OnnxNetworks.open(store, 1, p), picture) for p in PRECISIONS]

    assert made[0] is not None
    assert made[1] is not None
    difference = np.abs(made[0].luma.astype(int) - made[1].luma)
    assert difference.mean() < 0.5


def test_unknown_model_restores_nothing_and_says_why(store: Store) -> None:
    networks = OnnxNetworks.open(store, 99)

    made = restore(networks, pattern(64, 48))

    assert made is None
    assert networks.model_id == 0
    assert "99" in networks.fault
    assert networks.faults == {Fault.NO_MODEL: 1}
    assert not networks.warm_up(64, 48)


def test_bundled_networks_serve() -> None:
    networks = open_networks()

    assert networks.model_id == 1
    assert networks.fault == ""
    assert networks.warm_up(64, 48)


@pytest.mark.parametrize("wrong", ["previous", "state"])
def test_inputs_that_do_not_fit_are_refused(store: Store, wrong: str) -> None:
    networks = OnnxNetworks.open(store, 1)
    before = pattern(60, 48) if wrong == "previous" else None
    hidden = np.zeros((1, 16, 3, 3), np.float32) if wrong == "state" else None

    made = restore(networks, pattern(64, 48), before, hidden)

    assert made is None
    assert networks.faults == {Fault.INPUT: 1}


def test_keeps_a_bounded_number_of_sessions(store: Store) -> None:
    networks = OnnxNetworks.open(store, 1)

    for width in range(16, 16 + 4 * (MAX_SIZES + 3), 4):
        assert restore(networks, pattern(width, 16)) is not None

    assert len(networks._runners) == MAX_SIZES
    assert (4, (16 + 4 * (MAX_SIZES + 2)) // 4) in networks._runners


def test_a_file_that_onnx_runtime_refuses_is_counted(store: Store) -> None:
    model = store.load(1, "fp32")
    broken = onnx.load_from_string(model.content)
    broken.graph.node[0].op_type = "NoSuchOperator"
    networks = OnnxNetworks(Model(entry=model.entry, content=broken.SerializeToString()))

    made = restore(networks, pattern(64, 48))

    assert made is None
    assert networks.faults == {Fault.RUNTIME: 1}


def test_weights_that_give_nan_are_refused(store: Store) -> None:
    model = store.load(1, "fp32")
    poisoned = onnx.load_from_string(model.content)
    for tensor in poisoned.graph.initializer:
        if tensor.name == "head_b":
            values = np.full(tensor.dims, np.nan, np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, "head_b"))
    networks = OnnxNetworks(Model(entry=model.entry, content=poisoned.SerializeToString()))

    made = restore(networks, pattern(64, 48))

    assert made is None
    assert networks.faults in ({Fault.RANGE: 1}, {Fault.FAR: 1})


SPEC = TensorSpec(name="s", dtype="float32", shape=(1, 2, "r", "c"), low=-4.0, high=4.0)
BASE = pattern(16, 8)
STATE = np.zeros((1, 2, 2, 4), np.float32)


def judged(luma: np.ndarray = BASE, hidden: np.ndarray = STATE) -> Fault | None:
    return judge(BASE, luma, hidden, state_shape=STATE.shape, state=SPEC)


def test_guard_passes_a_sound_result() -> None:
    assert judged() is None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 4.5, -4.5])
def test_guard_refuses_bad_states(value: float) -> None:
    hidden = STATE.copy()
    hidden[0, 1, 1, 3] = value

    assert judged(hidden=hidden) is Fault.RANGE


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_guard_refuses_nonsense_without_a_promised_range(value: float) -> None:
    hidden = np.full_like(STATE, value)
    free = replace(SPEC, low=None, high=None)

    found = judge(BASE, BASE, hidden, state_shape=STATE.shape, state=free)

    assert found is Fault.RANGE


def test_guard_refuses_other_shapes_and_types() -> None:
    assert judged(luma=BASE[:4]) is Fault.SHAPE
    assert judged(luma=BASE.astype(np.float32)) is Fault.SHAPE
    assert judged(hidden=STATE[:, :1]) is Fault.SHAPE
    assert judged(hidden=STATE.astype(np.float64)) is Fault.SHAPE


def test_guard_refuses_a_picture_too_far_from_the_base() -> None:
    assert judged(luma=255 - BASE) is Fault.FAR
    assert judged(luma=BASE ^ 15) is None
