"""Nothing that we run reports to anybody."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "auralink.models.runtime",
        "auralink.models.codec_runtime",
        "auralink.engine.cli.main",
        "auralink.engine.cli.checks",
        "auralink.engine.inference.worker_process",
    ],
)
def test_onnx_runtime_leaves_no_device_id(module: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import {module}, onnxruntime"],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert not (tmp_path / ".cache" / "Microsoft").exists()


def test_it_would_if_nobody_asked_it_not_to(tmp_path: Path) -> None:
    # When this fails the runtime has become polite, and our request can go.
    subprocess.run(
        [sys.executable, "-c", "import onnxruntime"],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        check=True,
    )

    assert (tmp_path / ".cache" / "Microsoft").exists()
