"""F44: every secret of an engine is a word that must be nowhere in what the engine says."""

import json
import random
import signal
import subprocess
import sys
import time
from typing import Final

from auralink.bench.fault.control_rig import MAIN, SECRET, Engine, engine, token
from auralink.bench.fault.servers import free_port
from auralink.bench.fault.values import Fault, Trial, expect, nothing
from auralink.engine.service.auth.principal import Role

_API: Final = "/api/v1/aic"
_PATHS: Final = (
    "/",
    "/health",
    "/health/detailed",
    "/readiness",
    "/startup",
    "/metrics",
    "/openapi.json",
    "/nowhere",
    f"{_API}/config",
    f"{_API}/jobs",
    f"{_API}/sessions",
    f"{_API}/models",
    f"{_API}/alerts",
    f"{_API}/performance/summary",
)


def _secrets(chance: random.Random) -> dict[str, str]:
    """By what they are of; each is another word."""
    names = ("livekit", "livekit_to", "database", "redis", "key")
    return {name: f"canary-{name}-{chance.getrandbits(128):032x}" for name in names}


def _environment(secrets: dict[str, str], *, records: bool) -> dict[str, str]:
    """An engine with everything: servers that are not there, so that errors are logged."""
    away = f"postgresql://aic:{secrets['database']}@127.0.0.1:{free_port()}/aic"
    return {
        "DATABASE_URL": "sqlite:///aic.db" if records else away,
        "AURALINK_ENGINE__DRAIN_S": "0",
        "REDIS_URL": f"redis://:{secrets['redis']}@127.0.0.1:{free_port()}/0",
        "LIVEKIT_URL": f"ws://127.0.0.1:{free_port()}",
        "LIVEKIT_API_KEY": "key",
        "LIVEKIT_API_SECRET": secrets["livekit"],
        "LIVEKIT_TO_URL": f"ws://127.0.0.1:{free_port()}",
        "LIVEKIT_TO_API_KEY": "key",
        "LIVEKIT_TO_API_SECRET": secrets["livekit_to"],
        "AURALINK_AUTH__KEYS": json.dumps([{"kid": "second", "secret": secrets["key"]}]),
    }


def _everywhere(rig: None, seed: int) -> Trial:
    chance = random.Random(seed)
    secrets = _secrets(chance)
    environment = _environment(secrets, records=seed % 2 == 0)
    level = chance.choice(("debug", "info"))
    form = chance.choice(("json", "text"))
    words = ("--log-level", level, "--log-format", form)
    with engine("--no-grpc", *words, **environment) as one:
        one.until("ready")
        said = _asked(one, chance, [*secrets.values(), SECRET])
        one.process.send_signal(signal.SIGHUP)
        time.sleep(chance.random() * 0.5)
        code, _ = one.end()
        said += one.lines.encode()
    said += _shown(environment)
    words_found = [name for name, word in secrets.items() if word.encode() in said]
    return Trial(
        wrong=expect(
            own_secret_told=SECRET.encode() in said,
            wrong_exit_code=code != 0,
            nothing_was_said=len(said) < 10_000,
            **{f"secret_of_{name}_told": True for name in words_found},
        ),
        figures={"read, kB": len(said) / 1000},
    )


def _asked(one: Engine, chance: random.Random, words: list[str]) -> bytes:
    """What callers are told, good ones and those who send a secret where none belongs."""
    admin = {"Authorization": f"Bearer {token(Role.ADMIN)}"}
    answers = [one.ask(path, **admin) for path in _PATHS]
    job = json.dumps({"room": "a", "id": f"j{chance.getrandbits(20)}"}).encode()
    answers.append(one.post(f"{_API}/jobs", job, **admin))
    # Sent back by nobody: not in a problem, not in a line of the log.
    for word in words:
        answers.append(one.ask(f"{_API}/config", Authorization=f"Bearer {word}"))
        answers.append(one.ask(f"{_API}/config", X_API_Key=word))
        body = json.dumps({"mode": word, "secret": word}).encode()
        answers.append(one.post(f"{_API}/config", body, **admin))
    answers += [one.ask(path, **admin) for path in (f"{_API}/jobs", "/metrics")]
    return b"".join(answer.head + answer.body for answer in answers)


def _shown(environment: dict[str, str]) -> bytes:
    """What an operator sees of the settings, also of bad ones."""
    said = b""
    for words, more in (
        (("config", "show"), {}),
        (("config", "show", "--json"), {}),
        (("config", "check"), {}),
        (("config", "check"), {"LIVEKIT_URL": environment["LIVEKIT_API_SECRET"]}),
    ):
        done = subprocess.run(
            [sys.executable, "-c", MAIN, *words],
            env={"AURALINK_AUTH__SECRET": SECRET} | environment | more,
            capture_output=True,
            check=False,
        )
        said += done.stdout + done.stderr
    return said


FAULTS: Final = (
    Fault(
        number="F44",
        name="every secret is a word to be found in logs, answers, metrics, settings as shown",
        expected="none is found, with stores that are away and callers who send secrets",
        prepare=nothing,
        inject=_everywhere,
    ),
)
