"""What docs/grpc.md says is so: its example runs, its tables are the code's."""

import asyncio
import json
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from auralink.bench.fault.rpc import FAULTS
from auralink.engine.rpc.access import HEALTH, MATRIX, REFLECTION, SERVICE
from auralink.engine.rpc.answers import LEAST_QUALITY
from auralink.engine.rpc.bitrate import SHARES
from auralink.engine.rpc.coding import QUEUE
from auralink.engine.rpc.failures import _CODES
from auralink.engine.rpc.outbox import LIMIT
from auralink.engine.rpc.settings import MIB, RpcSettings
from auralink.engine.rpc.stubs import aic_compression_pb2 as pb

from .conftest import Served

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "grpc.md").read_text("utf-8")
CLIP = ROOT / "engine" / "demo" / "assets" / "signer.mp4"


def cells(first: str) -> list[str]:
    """The row of a table that starts with this."""
    (line,) = [line for line in PAGE.splitlines() if line.startswith(f"| {first} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


async def test_the_example_runs_as_it_stands(
    serve: Callable[..., Awaitable[Served]], tmp_path: Path
) -> None:
    served = await serve()
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    program = tmp_path / "client.py"
    program.write_text(code, "utf-8")

    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(program),
        str(CLIP),
        f"127.0.0.1:{served.server.port}",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()

    assert process.returncode == 0, err.decode()
    found = re.fullmatch(
        r"30 frames, (\d+) bytes raw, (\d+) bytes sent, 30 pictures\n", out.decode()
    )
    assert found, (out, err)
    raw, sent = map(int, found.groups())
    assert sent < raw / 100


def test_every_method_stands_there_with_its_role() -> None:
    for path, rule in MATRIX.items():
        service, _, name = path.strip("/").partition("/")
        if service == SERVICE:
            assert rule.role is not None
            assert cells(f"`{name}`")[-1] == rule.role.label
        else:
            assert service in (HEALTH, REFLECTION)


def test_limits_are_those_of_the_settings() -> None:
    settings = RpcSettings()

    assert cells("message, either way")[1] == f"{settings.max_message_bytes // MIB} MiB"
    assert cells("calls, all together")[1] == str(settings.max_calls)
    assert cells("streams")[1].startswith(f"{settings.max_streams},")
    assert cells("frames a second of one stream")[1] == str(settings.frames_per_s)
    assert cells("frames of one stream at the encoder")[1] == str(QUEUE)
    assert cells("frames being coded, all together")[1] == str(settings.frames_in_flight)
    assert cells("answers with data that wait for a slow reader")[1] == str(LIMIT)
    assert cells("no answer read")[1] == f"{settings.slow_reader_s:.0f} s"
    assert f"{settings.idle_s:.0f} idle seconds" in PAGE


def test_modes_are_those_of_the_code() -> None:
    for mode, share in SHARES.items():
        row = cells(pb.CompressionMode.Name(mode).removeprefix("MODE_").lower())
        assert row[1] == f"{share:g}"
        assert float(row[2]) == LEAST_QUALITY[mode]


def test_every_code_that_a_call_can_end_with_is_named() -> None:
    assert all(f"`{code.name}`" in PAGE for code, _ in _CODES.values())


def test_faults_are_those_of_the_committed_results() -> None:
    results = json.loads((ROOT / "bench" / "results" / "faults_rpc.json").read_text("utf-8"))
    ours = {fault.name for fault in FAULTS}
    found = [one for one in results["found"] if one["name"] in ours]

    assert found
    for one in found:
        row = [one["number"], one["name"], one["expected"]]
        row.append(f"{one['passed']} of {one['trials']}")
        assert f"| {' | '.join(row)} |" in PAGE


def test_speeds_are_those_of_the_committed_results() -> None:
    results = json.loads((ROOT / "bench" / "results" / "rpc.json").read_text("utf-8"))

    for peak in results["peaks"]:
        figures = (peak["worst_per_s"], peak["best_per_s"], peak["server_us"])
        assert cells(peak["shape"]) == [peak["shape"], *(f"{one:.0f}" for one in figures)]
    late = results["latency"]
    assert f"({late['per_s']:.0f} a second)" in PAGE
    assert f"50 % within {late['p50_ms']:.1f} ms, 95 % {late['p95_ms']:.1f}" in PAGE
    assert f"99 % {late['p99_ms']:.1f}, all {late['max_ms']:.1f}" in PAGE
