import gc
import threading
import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from auralink.models.deadlines import Deadlines
from auralink.models.errors import RefusedModel, RunFailed, RunLate
from auralink.models.providers import CPU, CUDA, Provider, choose
from auralink.models.session import Runner, open_runner

from .graphs import chain, rounding, shifting

SIDE = 600
X = np.random.default_rng(1).random((SIDE, SIDE), np.float32)


@pytest.fixture(scope="module")
def runner() -> Runner:
    return opened(chain(side=SIDE), {"n": SIDE})


def opened(content: bytes, sizes: Mapping[str, int]) -> Runner:
    return open_runner(content, sizes, choose([CPU]), Deadlines())


def test_outputs_belong_to_the_caller(runner: Runner) -> None:
    first = runner.run({"x": X})["y"]
    kept = first.copy()

    second = runner.run({"x": 2 * X})["y"]

    assert np.allclose(first, X, atol=1e-5)
    assert np.array_equal(first, kept)
    assert not np.shares_memory(first, second)


def test_a_run_is_ended_at_its_limit_and_the_runner_stays_usable(runner: Runner) -> None:
    with pytest.raises(RunLate, match=r"limit of 0\.001 s"):
        runner.run({"x": X}, limit_s=0.001)

    assert np.allclose(runner.run({"x": X}, limit_s=60)["y"], X, atol=1e-5)


def test_limits_of_runs_at_the_same_time_do_not_touch_each_other(runner: Runner) -> None:
    made: list[bool] = []

    def patient() -> None:
        made.append(np.allclose(runner.run({"x": X}, limit_s=60)["y"], X, atol=1e-5))

    thread = threading.Thread(target=patient)
    thread.start()
    with pytest.raises(RunLate):
        runner.run({"x": X}, limit_s=0.001)
    thread.join()

    assert made == [True]


@pytest.mark.parametrize(
    "inputs",
    [
        {"x": X[:10]},
        {"x": X.astype(np.float64)},
        {"x": X[:, ::2]},
        {"z": X},
        {},
    ],
    ids=["shape", "type", "strides", "name", "missing"],
)
def test_inputs_that_do_not_fit_are_refused(runner: Runner, inputs: dict[str, np.ndarray]) -> None:
    with pytest.raises(RunFailed):
        runner.run(inputs)


def test_an_output_of_another_shape_than_promised_is_a_failure() -> None:
    runner = opened(shifting(), {})

    assert runner.run({"x": np.array([4], np.float32)})["y"].shape == (4,)
    for length in (3, 5, 1_000_000):
        with pytest.raises(RunFailed):
            runner.run({"x": np.array([length], np.float32)})


def test_outputs_have_the_type_that_the_file_says() -> None:
    made = opened(rounding(), {"n": 3}).run({"x": np.array([-3, 0, 7], np.float32)})["y"]

    assert made.dtype == np.int8
    assert made.tolist() == [-3, 0, 7]


def test_a_side_left_open_is_refused() -> None:
    with pytest.raises(RefusedModel, match=r"output y .* a side is not fixed"):
        opened(chain(nodes=1, side=4), {})


def test_what_onnx_runtime_cannot_read_is_refused() -> None:
    with pytest.raises(RefusedModel, match="protobuf"):
        opened(b"no model", {})


def test_a_session_outlives_its_owner_until_the_last_run_ends() -> None:
    """ONNX Runtime crashes when a session is freed while it runs."""
    runner = opened(chain(nodes=200, side=SIDE), {"n": SIDE})
    gone = weakref.ref(runner)
    made: list[bool] = []
    thread = threading.Thread(
        target=lambda run: made.append(run({"x": X})["y"].shape == X.shape), args=(runner.run,)
    )
    thread.start()

    del runner
    thread.join()
    del thread
    gc.collect()

    assert made == [True]
    assert gone() is None


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_provider_that_does_not_start_gives_way_to_the_next() -> None:
    absent = Provider(name=CUDA, why="asked for")

    runner = open_runner(chain(nodes=1, side=4), {"n": 4}, [absent, *choose([CPU])], Deadlines())

    assert runner.provider == CPU
    with pytest.raises(RefusedModel, match=f"{CUDA}: not started"):
        open_runner(chain(nodes=1, side=4), {"n": 4}, [absent], Deadlines())


@pytest.mark.parametrize(
    ("available", "wish", "names"),
    [
        ([CPU], "auto", [CPU]),
        ([CUDA, CPU], "auto", [CUDA, CPU]),
        ([CUDA, CPU], "cpu", [CPU]),
        ([CUDA, CPU], "cuda", [CUDA]),
        ([], "auto", [CPU]),
    ],
)
def test_a_gpu_is_taken_where_there_is_one(
    available: list[str], wish: str, names: list[str]
) -> None:
    found = choose(available, wish)  # type: ignore[arg-type]

    assert [provider.name for provider in found] == names
    assert all(provider.why for provider in found)


# Source: https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html
DOCUMENTED = {
    "arena_extend_strategy": {"kNextPowerOfTwo", "kSameAsRequested"},
    "cudnn_conv_algo_search": {"EXHAUSTIVE", "HEURISTIC", "DEFAULT"},
}


def test_the_options_of_a_gpu_are_documented_ones_and_reach_the_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[tuple[list[str], list[dict[str, str]]]] = []
    real = ort.InferenceSession

    def session(content: bytes, options: Any, providers: Any, provider_options: Any) -> Any:
        opened.append((providers, provider_options))
        if providers == [CUDA]:  # what ONNX Runtime says where the device is gone
            raise RuntimeError("CUDA failure 100: no CUDA-capable device is detected")
        return real(content, options, providers=providers, provider_options=provider_options)

    monkeypatch.setattr(ort, "InferenceSession", session)

    runner = open_runner(chain(nodes=1, side=4), {"n": 4}, choose([CUDA, CPU]), Deadlines())

    assert [names for names, _ in opened] == [[CUDA], [CPU]]
    (given,), (plain,) = opened[0][1], opened[1][1]
    assert {name: given[name] for name in given if name not in DOCUMENTED} == {
        "gpu_mem_limit": str(1 << 30)  # bytes of one session, in decimal
    }
    assert all(given[name] in values for name, values in DOCUMENTED.items())
    assert plain == {}
    assert runner.provider == CPU
    assert np.array_equal(
        runner.run({"x": np.eye(4, dtype=np.float32)})["y"], np.eye(4, dtype=np.float32)
    )


def test_a_gpu_that_is_asked_for_and_not_there_is_an_error_with_a_remedy() -> None:
    with pytest.raises(RefusedModel, match="no CUDA") as raised:
        choose([CPU], "cuda")

    assert any("onnxruntime-gpu" in note for note in raised.value.__notes__)


def test_the_thread_that_watches_limits_ends_with_its_owner() -> None:
    before = set(threading.enumerate())
    deadlines = Deadlines()
    with deadlines.within(60):
        (watch,) = set(threading.enumerate()) - before

    del deadlines
    watch.join(10)

    assert not watch.is_alive()
