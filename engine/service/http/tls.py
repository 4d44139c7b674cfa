"""TLS of HTTP: one context for the listening socket, which looks at the files at each handshake."""

import ssl
from typing import Final

from auralink.engine.service.errors import ConfigError
from auralink.engine.service.tls import Certificates, Material, TlsFiles

_PROTOCOLS: Final = ("http/1.1",)


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """
    Raises:
        ConfigError: a file cannot be read, or holds something else.
    """
    watch = Certificates(files, _context)
    listening = watch.first
    serving = listening

    def choose(handshake: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        """OpenSSL asks this after a client's first words, whether it named a server or not."""
        nonlocal serving
        serving = watch.changed() or serving
        handshake.context = serving

    listening.sni_callback = choose
    return listening


def _context(files: TlsFiles, material: Material) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(_PROTOCOLS)
    try:
        # A key under a password would be asked for on the terminal.
        context.load_cert_chain(files.certificate, files.key, password="")
        if material.clients is not None:
            context.load_verify_locations(cadata=material.clients.decode("ascii", "replace"))
            context.verify_mode = ssl.CERT_REQUIRED
    except (ssl.SSLError, OSError) as error:
        reason = getattr(error, "reason", None) or "it cannot be read"
        raise ConfigError(f"{files.certificate} with {files.key}: {reason}") from None
    return context
