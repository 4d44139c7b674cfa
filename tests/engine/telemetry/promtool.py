"""Prometheus's own tool, which comes with the server."""

import shutil

from ..stores.servers import missing


def promtool() -> str:
    path = shutil.which("promtool")
    if path is None:
        missing("promtool", "apt-get install prometheus")
    return str(path)
