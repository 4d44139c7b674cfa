"""F49: names that nobody knows, IPv6 alone, certificates that are expired, of another host, new."""

import contextlib
import datetime
import ipaddress
import random
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from auralink.bench.fault.control_rig import MAIN, Engine, engine, token
from auralink.bench.fault.values import Fault, Trial, expect, nothing

_NOWHERE: Final = "no-such-host.invalid"  # RFC 2606: no resolver knows it
_KEYS: Final = {"LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "s" * 40}
_RELOAD_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Pem:
    """A certificate that signs itself, and its key, in files."""

    certificate: Path
    key: Path

    def write(self, host: str, *, days: float) -> None:
        """
        Args:
            days: until it ends; negative: it has ended.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        now = datetime.datetime.now(datetime.UTC)
        names: list[x509.GeneralName] = [x509.DNSName(host)]
        if host == "localhost":
            names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=30))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        self.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))


def _addressed(rig: None, seed: int) -> Trial:
    chance = random.Random(seed)
    kinds = (_unknown_name, _six_alone, _rotated, _not_trusted)
    return kinds[seed % len(kinds)](chance)


def _unknown_name(chance: random.Random) -> Trial:
    """A store, or the room's server, has a name that cannot be looked up."""
    away: dict[str, str] = chance.choice(
        (
            {"DATABASE_URL": f"postgresql://a:password-1@{_NOWHERE}:5432/aic"},
            {"REDIS_URL": f"redis://{_NOWHERE}:6379/0"},
            {"LIVEKIT_URL": f"wss://{_NOWHERE}"},
        )
    )
    more = (
        {"LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "s" * 40} if "LIVEKIT_URL" in away else {}
    )
    with engine("--no-grpc", AURALINK_ENGINE__DRAIN_S="0", **away, **more) as one:
        one.until("ready")
        admin = {"Authorization": f"Bearer {token()}"}
        if more:
            one.post("/api/v1/aic/jobs", b'{"room": "a", "id": "j"}', **admin)
            time.sleep(chance.uniform(1.0, 2.0))  # it looks the name up, and again
        asked = [one.ask("/api/v1/aic/config", **admin).status for _ in range(6)]
        probes = [one.ask(path).status for path in ("/liveness", "/readiness")]
        code, _ = one.end()
    return Trial(
        wrong=expect(
            probes_failed=probes != [200, 200],
            requests_failed=not {200, 503} >= set(asked),
            name_not_told=_NOWHERE not in one.lines,
            fault_in_the_log="Traceback" in one.lines,
            wrong_exit_code=code != 0,
        )
    )


def _six_alone(chance: random.Random) -> Trial:
    with engine("--no-grpc", "--host", "::1") as one:
        one.host = "::1"
        one.until("ready")
        probes = [one.ask(path).status for path in ("/liveness", "/readiness", "/metrics")]
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", one.port), 1):
            probes.append(0)  # it listens where it was not told to
        code, _ = one.end()
    return Trial(wrong=expect(probes_failed=probes != [200] * 3, wrong_exit_code=code != 0))


def _rotated(chance: random.Random) -> Trial:
    """New files while it serves, in every second trial broken ones first."""
    with _secured("localhost", days=1) as (one, pem):
        first = _shakes_hands(one, pem)
        old = pem.certificate.read_bytes()
        broken = chance.random() < 0.5
        if broken:
            pem.certificate.write_bytes(old[: chance.randrange(len(old))])
            kept = _accepted(one, old.decode())
            pem.certificate.write_bytes(old)
        pem.write("localhost", days=chance.uniform(1, 90))
        began_s = time.monotonic()
        new = _shakes_hands(one, pem)
        while not new and time.monotonic() - began_s < _RELOAD_S:
            time.sleep(0.05)
            new = _shakes_hands(one, pem)
        took_s = time.monotonic() - began_s
        code, _ = one.end()
    return Trial(
        wrong=expect(
            first_refused=not first,
            broken_files_ended_it=broken and not kept,
            new_one_not_served=not new,
            fault_in_the_log="Traceback" in one.lines,
            wrong_exit_code=code != 0,
        ),
        recovered_s=took_s,
    )


def _not_trusted(chance: random.Random) -> Trial:
    """A client looks before it trusts, and the engine does not mind."""
    host, days = chance.choice((("localhost", -1.0), ("elsewhere.example", 1.0)))
    with _secured(host, days=days) as (one, pem):
        refused = not _shakes_hands(one, pem)
        done = subprocess.run(
            [sys.executable, "-c", MAIN, "jobs", "list", "--url", f"https://127.0.0.1:{one.port}"],
            env={"SSL_CERT_FILE": str(pem.certificate), "AURALINK_TOKEN": token()},
            capture_output=True,
            text=True,
            check=False,
        )
        unchecked = _accepted(one, None)
        code, _ = one.end()
    return Trial(
        wrong=expect(
            trusted_it=not refused,
            cli_did_not_refuse=done.returncode != 4,
            cli_does_not_say_why="certificate" not in done.stderr.lower(),
            engine_was_hurt=not unchecked or code != 0 or "Traceback" in one.lines,
        )
    )


@contextlib.contextmanager
def _secured(host: str, *, days: float) -> Iterator[tuple[Engine, Pem]]:
    """An engine with TLS of its own."""
    with tempfile.TemporaryDirectory() as folder:
        pem = Pem(Path(folder) / "tls.crt", Path(folder) / "tls.key")
        pem.write(host, days=days)
        files = {
            "AURALINK_HTTP__TLS": "true",
            "AURALINK_HTTP__CERTIFICATE": str(pem.certificate),
            "AURALINK_HTTP__KEY": str(pem.key),
        }
        with engine("--no-grpc", **files) as one:
            one.until("ready")
            yield one, pem


def _shakes_hands(one: Engine, pem: Pem) -> bool:
    """With a client that trusts the certificate that is in the file now."""
    return _accepted(one, pem.certificate.read_text())


def _accepted(one: Engine, root: str | None) -> bool:
    """
    Args:
        root: the one certificate that is trusted; None: the client trusts everybody.
    """
    if root is None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context = ssl.create_default_context(cadata=root)
    try:
        with (
            socket.create_connection(("127.0.0.1", one.port), timeout=10) as line,
            context.wrap_socket(line, server_hostname="localhost") as secure,
        ):
            secure.sendall(b"GET /liveness HTTP/1.1\r\nHost: e\r\nConnection: close\r\n\r\n")
            return secure.recv(64).startswith(b"HTTP/1.1 200")
    except (OSError, ssl.SSLError):
        return False


FAULTS: Final = (
    Fault(
        number="F49",
        name="names that cannot be looked up, IPv6 alone, certificates expired, of another host, "
        "new",
        expected="degraded and said so; served; refused by clients; the new one within 60 s",
        prepare=nothing,
        inject=_addressed,
        trials=24,
    ),
)
