"""All faults, in the order of their numbers.  A new family adds its module here."""

from typing import Any, Final

from auralink.bench.fault import (
    addresses,
    bitstreams,
    canaries,
    clocks,
    control,
    database,
    drift,
    flow,
    model_files,
    model_swaps,
    outputs,
    redis,
    rooms,
    rpc,
    scrape,
    starting,
    workers,
)
from auralink.bench.fault.values import Fault, NotRun

FAULTS: Final[tuple[Fault[Any], ...]] = tuple(
    sorted(
        (
            *model_files.FAULTS,
            *model_swaps.FAULTS,
            *workers.FAULTS,
            *drift.FAULTS,
            *outputs.FAULTS,
            *flow.FAULTS,
            *rpc.FAULTS,
            *redis.FAULTS,
            *database.FAULTS,
            *scrape.FAULTS,
            *control.FAULTS,
            *clocks.FAULTS,
            *canaries.FAULTS,
            *starting.FAULTS,
            *addresses.FAULTS,
            *bitstreams.FAULTS,
            *rooms.FAULTS,
        ),
        key=lambda fault: int(fault.number.removeprefix("F")),
    )
)

NOT_RUN: Final = (
    NotRun(number="F19", name="the GPU is lost, or its memory full", why="no GPU here"),
    NotRun(number="F20", name="a remote Triton fails", why="this build has no such backend"),
)
