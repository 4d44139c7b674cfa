"""Dockerfile, lock and compose file: what can be seen without building.

`deploy/rehearse_image.py` executes the Dockerfile in a chroot; its result is deploy/rehearsal.json.
"""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "deploy" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


dockerfile = script("dockerfile")
STAGES = dockerfile.parse((ROOT / "Dockerfile").read_text("utf-8"))
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))


def test_the_reader_of_dockerfiles_reads_what_docker_does() -> None:
    (stage,) = dockerfile.parse(
        'FROM a AS b\n# comment\nENV A=1 B="two words"\nRUN one && \\\n    two\n'
        'COPY --from=x /a /b/\nHEALTHCHECK --interval=1s CMD ["a", "b c"]\n'
    )

    assert (stage.base, stage.name) == ("a", "b")
    assert dockerfile.environment(stage.steps[0].words[0]) == {"A": "1", "B": "two words"}
    assert stage.steps[1].words == ("one && two",)
    assert (stage.steps[2].options, stage.steps[2].words) == ({"from": "x"}, ("/a", "/b/"))
    assert stage.steps[3].words == ("a", "b c")
    with pytest.raises(ValueError, match="ADD"):
        dockerfile.parse("FROM a\nADD b c\n")


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    allowed = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines()
        if line[0] == "!"
    }

    for stage in STAGES:
        for step in stage.steps:
            if step.name == "COPY" and "from" not in step.options:
                for source in step.words[:-1]:
                    assert (ROOT / source).exists(), source
                    assert source in allowed, source


def test_base_images_have_a_date_and_the_last_stage_no_root_and_no_shell_form() -> None:
    last = STAGES[-1]

    assert {stage.base for stage in STAGES} == {STAGES[0].base}
    assert re.fullmatch(r"debian:bookworm-\d{8}-slim", last.base)
    assert last.last("USER").words == ("10001:10001",)
    assert last.last("ENTRYPOINT").words == ("auralink",)
    assert last.last("CMD").words == ("serve",)
    assert "/liveness" in " ".join(last.last("HEALTHCHECK").words)
    assert last.last("STOPSIGNAL").words == ("SIGTERM",)


def test_python_packages_of_the_image_are_checked_by_hash() -> None:
    commands = [step.words[0] for stage in STAGES for step in stage.steps if step.name == "RUN"]
    installs = [line for line in commands if "pip install" in line]

    assert len(installs) == 2
    assert "--require-hashes -r deploy/requirements.lock" in installs[0]
    assert "--no-index" in installs[1]


def test_the_lock_of_the_image_is_the_part_of_ours_that_it_needs() -> None:
    made = subprocess.run(
        [sys.executable, str(ROOT / "deploy" / "runtime_lock.py")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert (ROOT / "deploy" / "requirements.lock").read_text("utf-8") == made, (
        "run: .venv/bin/python deploy/runtime_lock.py > deploy/requirements.lock"
    )
    names = set(re.findall(r"^([A-Za-z0-9_.-]+)==", made, re.MULTILINE))
    assert {"sqlalchemy", "redis", "prometheus-client", "structlog", "grpcio"} <= names
    assert not names & {"pytest", "mypy", "ruff", "torch", "matplotlib", "hypothesis", "onnx"}


def test_images_of_compose_have_a_version() -> None:
    images = {name: one.get("image", "") for name, one in COMPOSE["services"].items()}

    for name, image in images.items():
        if image != "auralink-aic":
            assert re.search(r":[a-z]*\d+\.\d+", image), name


def test_compose_has_no_password_of_its_own() -> None:
    text = (ROOT / "compose.yaml").read_text("utf-8")
    example = (ROOT / "deploy" / "example.env").read_text("utf-8")

    for name in ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "GRAFANA_PASSWORD"):
        assert f"${{{name}:?" in text  # compose refuses to start without it
        assert f"\n{name}=\n" in example
    assert [line for line in example.splitlines() if re.search(r"^[A-Z_]+=.", line)] == []


def test_compose_mounts_files_that_exist_and_confines_the_engine() -> None:
    for service in COMPOSE["services"].values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] or (ROOT / source).exists(), source
    engine = COMPOSE["services"]["engine"]
    assert engine["read_only"] is True
    assert engine["cap_drop"] == ["ALL"]
    assert all(port.startswith("127.0.0.1:") for port in engine["ports"])


def test_the_rehearsal_of_this_dockerfile_went_well() -> None:
    found = json.loads((ROOT / "deploy" / "rehearsal.json").read_text("utf-8"))

    for what in (
        "serves metrics",
        "is ready",
        "answers gRPC health",
        "is not root",
        "cannot write to its root",
        "has no installer",
        "keeps its records in the volume",
    ):
        assert found[what] is True, what
    assert found["exit code after SIGTERM"] == 0
    executed = [line for line in found["steps executed"] if "RUN" in line or "COPY" in line]
    wanted = [step for stage in STAGES for step in stage.steps if step.name in ("RUN", "COPY")]
    assert len(executed) == len(wanted)
