"""Does a call outlive what goes wrong?  Every fault many times, each time with other chances.

::

    python -m auralink.bench.faults --out bench/results/faults.json

Faults are real ones: files are damaged, processes killed and stopped, native code crashes and
hangs.  The numbers are those of the table of faults; those that need a room, a store or a network
are measured where they are.  A trial passes if everything expected of it held.  Times to recover
are from the fault until every stream had an answer from its model again.

With ``--only`` what the file says of the other faults is kept.
"""

import argparse
import dataclasses
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from auralink.bench import machine, tables
from auralink.bench.fault.registry import FAULTS, NOT_RUN
from auralink.bench.fault.values import Fault, NotRun, Trial
from auralink.codecs.errors import AuraLinkError, InputError

DEFAULT_OUT: Final = Path("bench/results/faults.json")
SCHEMA: Final = 1
_KEPT: Final = 5  # failures that are written down per fault

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    only: tuple[str, ...] = ()  # numbers of faults
    trials: int | None = None  # instead of each fault's own number
    seed: int = 0
    out: Path | None = None

    @property
    def command(self) -> str:
        """What repeats this, without the folders of this machine."""
        words = ["python -m auralink.bench.faults"]
        words += [f"--only {number}" for number in self.only]
        words += [f"--trials {self.trials}"] if self.trials else []
        words += [f"--seed {self.seed}"] if self.seed else []
        return " ".join(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    seed: int
    wrong: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What became of one fault."""

    number: str
    name: str
    expected: str
    commit: str = ""  # measured at
    passed: int
    trials: int
    recovered_p50_s: float | None
    recovered_most_s: float | None
    figures: dict[str, tuple[float, float]] = field(default_factory=dict)  # median and largest
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    command: str
    machine: dict[str, str]
    found: tuple[Found, ...] = ()
    not_run: tuple[NotRun, ...] = NOT_RUN

    @property
    def passed(self) -> bool:
        return all(found.passed == found.trials for found in self.found)


def run(options: Options, progress: Progress = lambda text: None) -> Result:
    """Inject all faults that are asked for.

    Raises:
        InputError: there is none of that number.
    """
    chosen = [fault for fault in FAULTS if not options.only or fault.number in options.only]
    if not chosen:
        raise InputError(f"no fault {', '.join(options.only)} is injected here")
    here = machine.describe()
    result = Result(command=options.command, machine=here, found=_others(options, chosen))
    for fault in chosen:
        trials = options.trials or fault.trials
        try:
            found = examine(fault, trials, options.seed, progress, commit=here["commit"])
        except InputError as missing:  # a server that this machine does not have
            left = NotRun(number=fault.number, name=fault.name, why=str(missing))
            result = dataclasses.replace(result, not_run=(*result.not_run, left))
            continue
        result = dataclasses.replace(result, found=_in_order((*result.found, found)))
        if options.out:
            save(result, options.out)
    return result


def _others(options: Options, chosen: Sequence[Fault[Any]]) -> tuple[Found, ...]:
    """What the file says of faults that are not injected now, and still exist."""
    if not options.only or options.out is None or not options.out.exists():
        return ()
    left = {_key(fault) for fault in FAULTS} - {_key(fault) for fault in chosen}
    return tuple(found for found in load(options.out).found if _key(found) in left)


def _in_order(found: Sequence[Found]) -> tuple[Found, ...]:
    places = {_key(fault): at for at, fault in enumerate(FAULTS)}
    return tuple(sorted(found, key=lambda one: places[_key(one)]))


def _key(one: "Fault[Any] | Found") -> tuple[str, str]:
    return one.number, one.name


def examine(
    fault: Fault[Any], trials: int, seed: int, progress: Progress, *, commit: str = ""
) -> Found:
    """One fault, so many times."""
    made: list[tuple[int, Trial]] = []
    with fault.prepare() as rig:
        for number in range(trials):
            trial = fault.inject(rig, seed + number)
            made.append((seed + number, trial))
            what = trial.wrong or "passed"
            progress(f"{fault.number} {fault.name}: {number + 1} of {trials}, {what}")
    return judge(fault, made, commit)


def judge(fault: Fault[Any], made: Sequence[tuple[int, Trial]], commit: str) -> Found:
    times = [trial.recovered_s for _, trial in made if trial.recovered_s is not None]
    failures = [Failure(seed=seed, wrong=trial.wrong) for seed, trial in made if trial.wrong]
    names = dict.fromkeys(name for _, trial in made for name in trial.figures)
    columns = {
        name: [trial.figures[name] for _, trial in made if name in trial.figures] for name in names
    }
    return Found(
        number=fault.number,
        name=fault.name,
        expected=fault.expected,
        commit=commit,
        passed=len(made) - len(failures),
        trials=len(made),
        recovered_p50_s=statistics.median(times) if times else None,
        recovered_most_s=max(times, default=None),
        figures={
            name: (round(statistics.median(values), 3), round(max(values), 3))
            for name, values in columns.items()
        },
        failures=tuple(failures[:_KEPT]),
    )


def table(result: Result) -> str:
    """Markdown: a row per fault."""
    rows = [
        [
            found.number,
            found.name,
            f"{found.passed} of {found.trials}",
            _seconds(found.recovered_p50_s),
            _seconds(found.recovered_most_s),
            "; ".join(
                f"{name}: {_plain(median)} (most {_plain(most)})"
                for name, (median, most) in found.figures.items()
            ),
        ]
        for found in result.found
    ]
    rows += [[one.number, one.name, f"not run: {one.why}", "", "", ""] for one in result.not_run]
    heads = ["fault", "what is done", "passed", "recovery p50, s", "most, s", "measured, median"]
    return tables.markdown(heads, rows)


def save(result: Result, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tree = dataclasses.asdict(result)
    for found in tree["found"]:
        for name in ("recovered_p50_s", "recovered_most_s"):
            if found[name] is not None:
                found[name] = float(f"{found[name]:.4g}")
    path.write_text(json.dumps({"schema": SCHEMA, **tree}, indent=1) + "\n", "utf-8")


def load(path: Path) -> Result:
    """
    Raises:
        InputError: not a result of this version.
    """
    try:
        tree = json.loads(path.read_text("utf-8"))
        if tree.pop("schema") != SCHEMA:
            raise InputError(f"{path.name} is of another schema: measure again")
        tree["found"] = tuple(_found(found) for found in tree["found"])
        tree["not_run"] = tuple(NotRun(**one) for one in tree["not_run"])
        return Result(**tree)
    except (OSError, ValueError, KeyError, TypeError) as broken:
        raise InputError(f"{path.name} is not a result of `bench faults`: {broken}") from broken


def _found(tree: dict[str, Any]) -> Found:
    figures = {name: (median, most) for name, (median, most) in tree["figures"].items()}
    failures = tuple(Failure(**failure) for failure in tree["failures"])
    return Found(**(tree | {"figures": figures, "failures": failures}))


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _plain(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def parse(arguments: Sequence[str]) -> Options:
    parser = argparse.ArgumentParser(prog="python -m auralink.bench.faults", description=__doc__)
    parser.add_argument("--only", action="append", default=[], help="a fault's number: F15")
    parser.add_argument("--trials", type=int, help="of each fault (default: 20 and more)")
    parser.add_argument("--seed", type=int, default=0, help="of the first trial")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    given = parser.parse_args(arguments)
    return Options(only=tuple(given.only), trials=given.trials, seed=given.seed, out=given.out)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exits 1 if a trial failed."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    try:
        result = run(options, lambda text: print(text, file=sys.stderr, flush=True))
    except AuraLinkError as failed:
        print(f"error: {failed}", file=sys.stderr)
        return 2
    print(table(result))
    return 0 if result.passed else 1


if __name__ == "__main__":
    sys.exit(main())
