"""F46: requests in the first moment, two starts at once, a start after one that failed, an end in
the middle of a start."""

import random
import socket
import time
from collections.abc import Sequence
from typing import Final

from auralink.bench.fault.control_rig import Answer, Engine, engine, problem_of, token
from auralink.bench.fault.servers import free_port
from auralink.bench.fault.values import Fault, Trial, expect, nothing

_API: Final = "/api/v1/aic"
_PATHS: Final = (
    "/liveness",
    "/startup",
    "/readiness",
    "/health",
    "/metrics",
    f"{_API}/config",
    f"{_API}/jobs",
    f"{_API}/sessions",
    f"{_API}/models",
    f"{_API}/events",
)
_NOT_READY: Final = 503


def _started(rig: None, seed: int) -> Trial:
    chance = random.Random(seed)
    kinds = (_first_moment, _twice, _after_a_failure, _ended_meanwhile)
    return kinds[seed % len(kinds)](chance)


def _first_moment(chance: random.Random) -> Trial:
    """Everything is asked for from the moment on that the port is open."""
    with engine("--no-grpc") as one:
        one.until("HTTP on")
        answers, ready_s = _asked_until_ready(one, chance)
        code, _ = one.end()
    early = [answer for answer in answers if answer.status == _NOT_READY]
    # Probes answer with a list of what is missing instead.
    problems = [found for found in map(problem_of, early) if "type" in found]
    return Trial(
        wrong=expect(
            fell=any(answer.status not in (200, _NOT_READY) for answer in answers),
            part_not_named=not all(found.get("part") for found in problems),
            fault_in_the_log="Traceback" in one.lines,
            wrong_exit_code=code != 0,
        ),
        recovered_s=ready_s,
        figures={"asked too early": len(early)},
    )


def _asked_until_ready(one: Engine, chance: random.Random) -> tuple[list[Answer], float]:
    admin = {"Authorization": f"Bearer {token()}"}
    answers: list[Answer] = []
    began_s = time.monotonic()
    while "ready" not in one.lines.splitlines() and one.process.poll() is None:
        # Events are a stream without an end once there are any.
        path = chance.choice([path for path in _PATHS if not path.endswith("/events")])
        answers.append(one.ask(path, **admin))
    return answers, time.monotonic() - began_s


def _twice(chance: random.Random) -> Trial:
    """A second engine wants the port of the first."""
    port = free_port()
    with engine("--no-grpc", "--port", str(port)) as first:
        first.until(chance.choice(("HTTP on", "ready")))
        with engine("--no-grpc", "--port", str(port)) as second:
            refused = second.ended()
        first.until("ready")
        alive = first.ask("/readiness").status == 200
        code, _ = first.end()
    return Trial(
        wrong=expect(
            second_did_not_end_with_3=refused != 3,
            port_not_named=str(port) not in second.lines,
            first_was_hurt=not alive or code != 0,
        )
    )


def _after_a_failure(chance: random.Random) -> Trial:
    """A start that fails leaves nothing behind that the next one meets."""
    port = free_port()
    away = {
        "DATABASE_URL": f"postgresql://a:password-1@127.0.0.1:{free_port()}/aic",
        "AURALINK_DATABASE__REQUIRED": "true",
        "AURALINK_ENGINE__START_S": str(chance.choice((1, 2, 30))),
    }
    with engine("--no-grpc", "--port", str(port), **away) as failing:
        failed = failing.ended()
    with engine("--no-grpc", "--port", str(port)) as one:
        ready = one.until("ready")
        answer = one.ask("/readiness")
        code, _ = one.end()
    return Trial(
        wrong=expect(
            did_not_fail=failed != 3,
            fault_in_the_log="Traceback" in failing.lines + one.lines,
            next_start_failed=not ready or answer.status != 200 or code != 0,
        )
    )


def _ended_meanwhile(chance: random.Random) -> Trial:
    """SIGTERM at any moment of a start, in every second trial twice."""
    with engine("--no-grpc") as one:
        one.until("HTTP on")
        time.sleep(chance.random() * 1.5)
        hurry = chance.random() < 0.5
        code, took_s = one.end(hurry=hurry)
        port_is_free = _is_free(one.port)
    return Trial(
        wrong=expect(
            wrong_exit_code=code not in ((0, 130) if hurry else (0,)),
            fault_in_the_log="Traceback" in one.lines,
            port_is_still_taken=not port_is_free,
        ),
        figures={"ended after, s": took_s},
    )


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


FAULTS: Final[Sequence[Fault[None]]] = (
    Fault(
        number="F46",
        name="requests in the first moment, a second engine, a start after a failed one, an end "
        "while starting",
        expected="503 with the part's name, exit codes as they should be, nothing falls",
        prepare=nothing,
        inject=_started,
        trials=24,
    ),
)
