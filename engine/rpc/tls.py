"""Server credentials from files, read again when they change: a new certificate needs no restart.

gRPC asks at every handshake; what costs then is three `stat` calls.  New files that cannot be used
leave the old certificate in place, which is logged once.
"""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import grpc

from auralink.engine.rpc.settings import TlsFiles
from auralink.engine.service.errors import ConfigError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    certificate: bytes
    key: bytes = field(repr=False)
    clients: bytes | None

    def configuration(self) -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration(
            [(self.key, self.certificate)], root_certificates=self.clients
        )


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """
    Raises:
        ConfigError: a file cannot be read, or holds something else.
    """
    watch = Certificates(files)
    return grpc.dynamic_ssl_server_credentials(
        watch.first.configuration(),
        watch.changed,  # type: ignore[arg-type]  # None is allowed, the stubs do not know
        require_client_authentication=files.clients is not None,
    )


@final
class Certificates:
    """
    Raises:
        ConfigError: a file cannot be read, or holds something else.
    """

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._stamps = self._look()
        self.first = self._read()

    def changed(self) -> grpc.ServerCertificateConfiguration | None:
        """New ones to serve from now on; None if those in use still hold.  Any thread."""
        try:
            stamps = self._look()
            if stamps == self._stamps:
                return None
            self._stamps = stamps
            material = self._read()
        except ConfigError as error:
            log.error("the old certificate stays in use: %s", error)
            return None
        log.info("certificate read again")
        return material.configuration()

    def _paths(self) -> list[Path]:
        files = self._files
        return [path for path in (files.certificate, files.key, files.clients) if path is not None]

    def _look(self) -> tuple[tuple[int, int, int], ...]:
        """What changes when a file does; replaced files have another inode."""
        try:
            stats = [path.stat() for path in self._paths()]
        except OSError as error:
            raise _unreadable(error) from error
        return tuple((stat.st_mtime_ns, stat.st_size, stat.st_ino) for stat in stats)

    def _read(self) -> Material:
        try:
            certificate = self._files.certificate.read_bytes()
            key = self._files.key.read_bytes()
            clients = self._files.clients.read_bytes() if self._files.clients else None
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
