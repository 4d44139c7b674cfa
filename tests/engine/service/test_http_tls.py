"""HTTP with TLS of its own: who gets in, new certificates, and what a handshake may take."""

import asyncio
import ssl
from pathlib import Path

import aiohttp
import pytest

from auralink.engine.service.errors import ConfigError
from auralink.engine.service.tls import TlsFiles

from ..certificates import Pair, make_pair, write
from .services import API, Service, Wanted, service_in, token_of
from .wire import wire


def secured(files: TlsFiles, **more: str) -> Wanted:
    settings = {
        "AURALINK_HTTP__TLS": "true",
        "AURALINK_HTTP__CERTIFICATE": str(files.certificate),
        "AURALINK_HTTP__KEY": str(files.key),
        "AURALINK_HTTP__CLIENT_CA": str(files.clients or ""),
        "AURALINK_HTTP__RECEIVE_S": "0.5",
    }
    return Wanted(settings=settings | more)


def trusting(root: bytes, folder: Path, own: Pair | None = None) -> ssl.SSLContext:
    """What a client has who trusts one certificate and may have one of its own."""
    context = ssl.create_default_context(cadata=root.decode())
    if own is not None:
        mine = folder / "own"
        mine.mkdir(exist_ok=True)
        files = write(mine, own)
        context.load_cert_chain(files.certificate, files.key)
    return context


async def get(service: Service, path: str, context: ssl.SSLContext) -> int:
    headers = {"Authorization": f"Bearer {token_of()}", "Connection": "close"}
    url = f"https://localhost:{service.port}{path}"
    connector = aiohttp.TCPConnector(ssl=context, force_close=True)
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.get(url, headers=headers) as response,
    ):
        await response.read()
        return response.status


async def test_who_trusts_the_certificate_gets_in_and_others_do_not(tmp_path: Path) -> None:
    ours, other = make_pair(), make_pair()
    async with service_in(tmp_path, secured(write(tmp_path, ours))) as service:
        status = await get(service, f"{API}/config", trusting(ours.certificate, tmp_path))
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await get(service, "/liveness", trusting(other.certificate, tmp_path))

    assert status == 200


async def test_plain_text_gets_no_answer(tmp_path: Path) -> None:
    files = write(tmp_path, make_pair())
    async with service_in(tmp_path, secured(files)) as service, wire(service.port) as line:
        await line.send(b"GET /liveness HTTP/1.1\r\nHost: engine\r\n\r\n")
        status, _ = await line.answer()

    assert status == 0


async def test_old_versions_of_tls_do_not_get_in(tmp_path: Path) -> None:
    ours = make_pair()
    old = trusting(ours.certificate, tmp_path)
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    async with service_in(tmp_path, secured(write(tmp_path, ours))) as service:
        with pytest.raises(aiohttp.ClientConnectorError):
            await get(service, "/liveness", old)


async def test_mutual_tls_wants_a_certificate_of_the_clients_authority(tmp_path: Path) -> None:
    ours, client, stranger = make_pair(), make_pair("ann"), make_pair("eve")
    files = write(tmp_path, ours, clients=client.certificate)
    async with service_in(tmp_path, secured(files)) as service:
        status = await get(service, "/liveness", trusting(ours.certificate, tmp_path, client))
        for nobody in (None, stranger):
            with pytest.raises(aiohttp.ClientError):
                await get(service, "/liveness", trusting(ours.certificate, tmp_path, nobody))

    assert status == 200


async def test_a_new_certificate_is_served_without_a_restart(tmp_path: Path) -> None:
    old, new = make_pair(), make_pair()
    async with service_in(tmp_path, secured(write(tmp_path, old))) as service:
        before = await get(service, "/liveness", trusting(old.certificate, tmp_path))
        write(tmp_path, new)
        after = await get(service, "/liveness", trusting(new.certificate, tmp_path))
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await get(service, "/liveness", trusting(old.certificate, tmp_path))

    assert (before, after) == (200, 200)


async def test_new_authorities_of_clients_hold_without_a_restart(tmp_path: Path) -> None:
    ours, ann, eve = make_pair(), make_pair("ann"), make_pair("eve")
    files = write(tmp_path, ours, clients=ann.certificate)
    async with service_in(tmp_path, secured(files)) as service:
        before = await get(service, "/liveness", trusting(ours.certificate, tmp_path, ann))
        write(tmp_path, ours, clients=eve.certificate)
        after = await get(service, "/liveness", trusting(ours.certificate, tmp_path, eve))
        with pytest.raises(aiohttp.ClientError):
            await get(service, "/liveness", trusting(ours.certificate, tmp_path, ann))

    assert (before, after) == (200, 200)


async def test_a_new_key_that_does_not_fit_leaves_the_old_one_in_use(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pair = make_pair()
    files = write(tmp_path, pair)
    async with service_in(tmp_path, secured(files)) as service:
        files.key.write_bytes(make_pair().key)
        status = await get(service, "/liveness", trusting(pair.certificate, tmp_path))

    assert status == 200
    assert "the old certificate stays in use" in caplog.text
    assert "PRIVATE" not in caplog.text


async def test_who_does_not_shake_hands_is_hung_up_on_and_holds_up_no_end(tmp_path: Path) -> None:
    files = write(tmp_path, make_pair())
    async with service_in(tmp_path, secured(files)) as service, wire(service.port) as line:
        async with asyncio.timeout(5):
            status, _ = await line.answer()
        async with wire(service.port):
            service.context.ending.ask()
            code = await service.running

    assert (status, code) == (0, 0)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("certificate", b"hunter2"),
        ("key", b"-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n"),
        ("clients", b"-----BEGIN CERTIFICATE-----\nhunter2\n-----END CERTIFICATE-----\n"),
        ("key", make_pair().key),
    ],
)
async def test_files_that_cannot_be_used_end_the_start_and_are_not_shown(
    tmp_path: Path, file: str, text: bytes
) -> None:
    files = write(tmp_path, make_pair(), clients=make_pair().certificate)
    getattr(files, file).write_bytes(text)

    with pytest.raises(ConfigError) as refused:
        async with service_in(tmp_path, secured(files)):
            pass

    assert "hunter2" not in str(refused.value)
    assert "PRIVATE" not in str(refused.value)
