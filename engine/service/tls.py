"""Certificate and key from files, read again when they change: a new one needs no restart.

Whoever serves asks at every handshake; what costs then is three `stat` calls.  New files that
cannot be used leave the old certificate in place, which is logged once.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar, final

from auralink.engine.service.errors import ConfigError

log = logging.getLogger(__name__)

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """PEM files, read again when they change.

    Attributes:
        certificate: of the server, with the chain up to its authority.
        clients: authorities of client certificates; with it every client must show one (mTLS).
    """

    certificate: Path
    key: Path
    clients: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What is in the files."""

    certificate: bytes
    key: bytes = field(repr=False)
    clients: bytes | None


@final
class Certificates(Generic[Made]):
    """
    Args:
        make: what a server uses, of the files and what is in them.

    Attributes:
        first: made of the files as they are now.

    Raises:
        ConfigError: a file cannot be read, or holds something else.
    """

    def __init__(self, files: TlsFiles, make: Callable[[TlsFiles, Material], Made]) -> None:
        self._files = files
        self._make = make
        self._stamps = self._look()
        self.first = self._made()

    def changed(self) -> Made | None:
        """A new one to serve with from now on; None if the one in use still holds.  Any thread."""
        try:
            stamps = self._look()
            if stamps == self._stamps:
                return None
            self._stamps = stamps
            made = self._made()
        except ConfigError as error:
            log.error("the old certificate stays in use: %s", error)
            return None
        log.info("certificate read again")
        return made

    def _made(self) -> Made:
        return self._make(self._files, _read(self._files))

    def _look(self) -> tuple[tuple[int, int, int], ...]:
        """What changes when a file does; replaced files have another inode."""
        files = (self._files.certificate, self._files.key, self._files.clients)
        try:
            stats = [path.stat() for path in files if path is not None]
        except OSError as error:
            raise _unreadable(error) from error
        return tuple((stat.st_mtime_ns, stat.st_size, stat.st_ino) for stat in stats)


def _read(files: TlsFiles) -> Material:
    try:
        certificate = files.certificate.read_bytes()
        key = files.key.read_bytes()
        clients = files.clients.read_bytes() if files.clients else None
    except OSError as error:
        raise _unreadable(error) from error
    for name, text in (("certificate", certificate), ("clients", clients)):
        if text is not None and b"-----BEGIN CERTIFICATE-----" not in text:
            raise ConfigError(f"tls.{name}: no certificate in PEM")
    if b"PRIVATE KEY-----" not in key:
        raise ConfigError("tls.key: no private key in PEM")
    return Material(certificate=certificate, key=key, clients=clients)


def _unreadable(error: OSError) -> ConfigError:
    return ConfigError(f"TLS file {error.filename}: {error.strerror}")
