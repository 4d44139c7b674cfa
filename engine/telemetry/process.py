"""Memory of this process and its workers, and when certificates end.  Blocks: for a thread."""

from collections.abc import Mapping
from pathlib import Path

import psutil
from cryptography import x509

from auralink.engine.telemetry.readings import ProcessReading


def read_process(certificates: Mapping[str, Path]) -> ProcessReading:
    """
    Args:
        certificates: PEM files by API.

    Raises:
        OSError: a certificate cannot be read.
    """
    return ProcessReading(
        memory_bytes=_memory_bytes(),
        certificates={api: _ends(path) for api, path in certificates.items()},
    )


def _memory_bytes() -> int:
    """Resident; pages that processes share count once for each."""
    own = psutil.Process()
    total = int(own.memory_info().rss)
    for child in own.children(recursive=True):
        try:
            total += child.memory_info().rss
        except psutil.Error:  # it has just ended
            continue
    return total


def _ends(path: Path) -> float:
    try:
        found = x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError as error:
        raise OSError(f"{path} is no certificate") from error
    return found.not_valid_after_utc.timestamp()
