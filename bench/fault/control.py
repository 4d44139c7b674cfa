"""F29, F32, F37, F41, F42, F43, F47: what is done to the control plane."""

import contextlib
import json
import random
import signal
import socket
import time
from base64 import urlsafe_b64encode
from hashlib import sha256
from hmac import digest
from typing import Any, Final

from auralink.bench.fault.control_rig import (
    RECEIVE_S,
    SECRET,
    Answer,
    Engine,
    engine,
    idle,
    problem_of,
    ready_engine,
)
from auralink.bench.fault.values import Fault, Trial, expect, nothing

_CONFIG: Final = "/api/v1/aic/config"
_TOKENS: Final = 30
# On a machine of its own it takes a second; here others may compute on all of it.
_LIMIT_S: Final = 30.0
_HURRIED_S: Final = 10.0
_BODY: Final = b"POST /api/v1/livekit/webhook HTTP/1.1\r\nHost: e\r\n"


def _token(chance: random.Random) -> str:
    """A token that is wrong in one way, out of a good one."""
    now = int(time.time())
    header: dict[str, Any] = {"alg": "HS256", "typ": "JWT", "kid": "main"}
    claims: dict[str, Any] = {
        "sub": "ann",
        "role": "admin",
        "iss": "auralink",
        "aud": "auralink-aic",
        "exp": now + 600,
    }
    secret = SECRET
    match chance.randrange(12):
        case 0:
            header["alg"] = chance.choice(["none", "None", "HS512", "RS256", "", None, 7])
        case 1:
            header["kid"] = chance.choice(["other", "", "../x", 0, None, ["main"], "m\u0000"])
            secret = chance.choice([secret, ""]) if header["kid"] is not None else "x" * 32
        case 2:
            secret = f"{chance.getrandbits(256):064x}"
        case 3:
            claims.pop(chance.choice(["sub", "iss", "aud", "exp"]))
        case 4:
            claims["exp"] = chance.choice([now - 61, str(now + 600), None, True, 10**30, -1])
        case 5:
            claims["exp"] = now + chance.randint(367, 9999) * 86_400
        case 6:
            claims["aud"] = chance.choice(["other", "", None, 1, ["other"]])
        case 7:
            claims["iss"] = chance.choice(["other", "", None, ["auralink"]])
        case 8:
            claims["sub"] = chance.choice([None, "", 7, "a\r\nb", "x" * 129])
        case 9:
            claims["role"] = chance.choice(["root", "", None, 3, ["admin"]])
        case 10:
            claims["nbf"] = now + chance.randint(61, 10**6)
        case _:
            claims = {"sub": "x" * chance.randint(5_000, 9_000)}
    parts = [
        urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
        for part in (header, claims)
    ]
    signed = ".".join(parts)
    made = digest(secret.encode(), signed.encode(), sha256)
    return f"{signed}.{urlsafe_b64encode(made).rstrip(b'=').decode()}"


def _bad_tokens(one: Engine, seed: int) -> Trial:
    chance = random.Random(seed)
    answers = [
        one.ask(_CONFIG, Authorization=f"Bearer {_token(chance)}", X_Request_ID="same")
        for _ in range(_TOKENS)
    ]
    return Trial(
        wrong=expect(
            some_got_in_or_fell=any(answer.status != 401 for answer in answers),
            answers_differ=len({answer.body for answer in answers}) != 1,
            not_alive=not one.alive,
        ),
        figures={"slowest answer, ms": max(answer.ms for answer in answers)},
    )


def _slow_or_large(one: Engine, seed: int) -> Trial:
    chance = random.Random(seed)
    wanted: tuple[int, ...]
    match seed % 6:
        case 0:
            wanted = (408, 0)
            pieces = [b"x-%d: y\r\n" % n for n in range(100)]
            answer = one.send(b"GET / HTTP/1.1\r\nHost: e\r\n", *pieces, pause_s=0.1)
        case 1:
            wanted = (408, 0)
            start = _BODY + b"Content-Length: 1000\r\n\r\n"
            answer = one.send(start, *([b" "] * 100), pause_s=0.1)
        case 2:
            wanted = (431, 0)
            filler = b"a" * chance.randint(17_000, 200_000)
            answer = one.send(b"GET / HTTP/1.1\r\nHost: e\r\nx: " + filler + b"\r\n\r\n")
        case 3:
            wanted = (413, 0)
            length = b"Content-Length: %d\r\n\r\n" % (chance.randint(2, 64) << 20)
            answer = one.send(_BODY + length)
        case 4:
            wanted = (415, 0)
            head = b"Content-Encoding: gzip\r\nContent-Length: 9\r\n\r\n"
            answer = one.send(_BODY + head + b"\x1f\x8b" + bytes(7))
        case _:
            wanted = (200,)
            with contextlib.ExitStack() as stack:
                for line in idle(one.port, chance.randint(120, 300)):
                    stack.enter_context(line)
                answer = one.ask()
    probe = one.ask()
    return Trial(
        wrong=expect(
            wrong_answer=answer.status not in wanted,
            open_for_too_long=answer.ms > 1e3 * RECEIVE_S + 10_000,
            not_alive=probe.status != 200,
        ),
        figures={"closed after, ms": answer.ms, "probe after it, ms": probe.ms},
    )


def _spoofed(one: Engine, seed: int) -> Trial:
    chance = random.Random(seed)
    length = chance.choice([1, 64, 65, 300, 10_000])
    sent = "".join(chance.choice("abc019._- ;%<>\t'\"\\{}$") for _ in range(length))
    answer = one.ask(
        _CONFIG,
        X_Request_ID=sent,
        X_User_ID="admin",
        X_Forwarded_For=f"127.0.0.1, 10.0.0.{chance.randrange(256)}",
        X_Forwarded_User="admin",
    )
    broken = one.send(
        b"GET /liveness HTTP/1.1\r\nHost: e\r\nConnection: close\r\nX-Request-ID: a\r\n"
        b"X-Set: b\r\nX-Request-ID: c%0d%0aSet-Cookie: x\r\n\r\n"
    )
    told = str(problem_of(answer).get("request_id", ""))
    good = 0 < len(told) <= 64 and all(one.isalnum() or one in "._-" for one in told)
    return Trial(
        wrong=expect(
            let_in=answer.status != 401,
            bad_id_told=not good,
            line_broken=b"set-cookie" in broken.head.lower(),
        )
    )


_ORIGINS: Final = (
    "null",
    "*",
    "https://console.example.evil.example",
    "https://evilconsole.example",
    "https://console.example:444",
    "https://console.example/",
    "http://console.example",
    "https://CONSOLE.example",
    "https://console.example@evil.example",
    "https://sub.console.example",
    "https://consolexexample",
    "https://console.example%00",
    "console.example",
    "file://",
)


def _origins(one: Engine, seed: int) -> Trial:
    chance = random.Random(seed)
    mutated = list("https://console.example")
    mutated[chance.randrange(len(mutated))] = chance.choice("xyz/:@.")
    given = "".join(mutated)
    tried = {*_ORIGINS, given} - {"https://console.example"}
    told = [one.ask("/health", Origin=origin) for origin in tried]
    known = one.ask("/health", Origin="https://console.example")
    allow = b"access-control-allow-origin"
    return Trial(
        wrong=expect(
            stranger_allowed=any(allow in answer.head.lower() for answer in told),
            own_page_refused=b"allow-origin: https://console.example" not in known.head.lower(),
        )
    )


_CANARY: Final = "canary-value-of-a-setting"
_BAD: Final[tuple[tuple[dict[str, str], str], ...]] = (
    ({"AURALINK_AUTH__SECRET": ""}, "auth.secret"),
    ({"AURALINK_AUTH__SECRET": "changeme"}, "auth.secret"),
    ({"AURALINK_HTTP__PORT": _CANARY}, "http.port"),
    ({"AURALINK_HTTP__PORT": "70000"}, "http.port"),
    ({"AIC_MODE": _CANARY}, "compression.mode"),
    ({"AIC_MDOE": _CANARY}, "AIC_MDOE"),
    ({"AURALINK_HTTP__PROT": _CANARY}, "HTTP__PROT"),
    ({"CORS_ORIGINS": "*"}, "http.cors_origins"),
    ({"ENVIRONMENT": _CANARY}, "environment"),
    ({"LIVEKIT_URL": _CANARY}, "livekit.url"),
    ({"AURALINK_AUTH__KEYS": _CANARY}, "auth.keys"),
    ({"HTTP_PORT": "1", "AI_CORE_PORT": "2"}, "http.port"),
)


def _bad_settings(rig: None, seed: int) -> Trial:
    given, key = _BAD[seed % len(_BAD)]
    began_s = time.monotonic()
    if seed % 13 == 12:  # the port is taken
        with socket.create_server(("127.0.0.1", 0)) as taken:
            key = str(taken.getsockname()[1])
            with engine("--no-grpc", "--port", key) as one:
                code = one.ended()
    else:
        with engine("--no-grpc", **given) as one:
            code = one.ended()
    return Trial(
        wrong=expect(
            started=code != 3,
            key_not_named=key not in one.lines,
            value_told=_CANARY in one.lines or "changeme" in one.lines,
        ),
        figures={"refused after, s": time.monotonic() - began_s},
    )


def _ended(rig: None, seed: int) -> Trial:
    """While it starts, once it is ready, and twice."""
    chance = random.Random(seed)
    starting, hurry = seed % 4 == 0, seed % 4 == 1
    with engine("--no-grpc") as one:
        one.until("HTTP on" if starting else "ready")
        early = one.ask("/readiness") if starting else None
        time.sleep(chance.random() * (0.5 if starting else 0.1))
        flip_ms = 0.0
        if starting or hurry:
            code, took_s = one.end(hurry=hurry)
        else:
            began_s = time.monotonic()
            flip_ms = _flip(one)
            code, took_s = one.ended(), time.monotonic() - began_s
    return Trial(
        wrong=expect(
            wrong_exit_code=code not in ((0, 130) if hurry else (0,)),
            took_too_long=took_s > (_HURRIED_S if hurry else _LIMIT_S),
            fault_in_the_log="Traceback" in one.lines,
            early_request_fell=early is not None and early.status not in (200, 503),
            secret_in_the_log=SECRET in one.lines,
        ),
        figures={"not ready after, ms": flip_ms, "ended after, s": took_s},
    )


def _flip(one: Engine) -> float:
    """Milliseconds from SIGTERM to the first "not ready"."""
    one.process.send_signal(signal.SIGTERM)
    began_s = time.monotonic()
    while True:
        try:
            if one.ask("/readiness").status != 200:
                break
        except OSError:
            break
    return (time.monotonic() - began_s) * 1e3


def _stopped(one: Engine, seed: int) -> Trial:
    """The process stands still for two seconds, or hears signals in a row."""
    if seed % 2:
        for _ in range(50):
            one.process.send_signal(signal.SIGHUP)
    else:
        one.process.send_signal(signal.SIGSTOP)
        time.sleep(2.0)
        one.process.send_signal(signal.SIGCONT)
    began_s = time.monotonic()
    probe: Answer = one.ask()
    ready = one.ask("/readiness")
    return Trial(
        wrong=expect(not_alive=probe.status != 200, not_ready=ready.status != 200),
        recovered_s=time.monotonic() - began_s,
    )


FAULTS: Final[tuple[Fault[Any], ...]] = (
    Fault(
        number="F29",
        name="SIGTERM while it starts, when it is ready, and twice",
        expected="not ready at once; exit code 0, or 130 when hurried; nothing falls",
        prepare=nothing,
        inject=_ended,
    ),
    Fault(
        number="F32",
        name="thirty tokens, each wrong in one way",
        expected="401 for all, one body",
        prepare=ready_engine,
        inject=_bad_tokens,
    ),
    Fault(
        number="F37",
        name="heads and bodies that trickle or are too large, gzip, idle connections",
        expected="408, 413, 415, 431 and closed; probes are answered",
        prepare=ready_engine,
        inject=_slow_or_large,
        trials=24,
    ),
    Fault(
        number="F41",
        name="names, addresses and request ids that a client made up",
        expected="nobody gets in; ids are ids or replaced",
        prepare=ready_engine,
        inject=_spoofed,
    ),
    Fault(
        number="F42",
        name="origins that look like the one on the list",
        expected="only the one on the list is allowed",
        prepare=ready_engine,
        inject=_origins,
    ),
    Fault(
        number="F43",
        name="settings that are missing, unknown, ill-typed, at odds; a port in use",
        expected="exit code 3; the key is named and no value",
        prepare=nothing,
        inject=_bad_settings,
        trials=26,
    ),
    Fault(
        number="F47",
        name="the process stands still for two seconds; fifty SIGHUPs",
        expected="alive and ready at once after it",
        prepare=ready_engine,
        inject=_stopped,
    ),
)
