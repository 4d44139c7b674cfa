"""What is changed about aiortc, seen from outside."""

import asyncio

from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection
from aiortc.rtcsctptransport import ForwardTsnChunk, RTCSctpTransport

from auralink.engine.room import compat

from .people import until

BURST = 40  # packets that are handed over at once
LOST = range(8, 38, 3)  # of what goes out after the channel is open


async def connect(a: RTCPeerConnection, b: RTCPeerConnection) -> None:
    await a.setLocalDescription(await a.createOffer())
    await b.setRemoteDescription(a.localDescription)
    await b.setLocalDescription(await b.createAnswer())
    await a.setRemoteDescription(b.localDescription)


async def test_losses_do_not_stop_a_thin_stream() -> None:
    compat.free_window()
    a, b = RTCPeerConnection(RTCConfiguration([])), RTCPeerConnection(RTCConfiguration([]))
    channel = a.createDataChannel("d", ordered=False, maxRetransmits=0)
    opened, got = asyncio.Event(), []
    all_there = asyncio.Event()

    def arrived(data: bytes) -> None:
        got.append(data[0])
        if len(got) == BURST - len(LOST):
            all_there.set()

    def found(remote: RTCDataChannel) -> None:
        remote.on("message", arrived)

    channel.on("open", opened.set)
    b.on("datachannel", found)
    await connect(a, b)
    transport = a.sctp
    assert isinstance(transport, RTCSctpTransport)
    try:
        async with asyncio.timeout(10):
            await opened.wait()
            lose(transport)
            for number in range(BURST):
                channel.send(bytes([number]) + bytes(999))
            await all_there.wait()  # within a second without the change, after ten with losses
    finally:
        await a.close()
        await b.close()

    assert sorted(got) == [number for number in range(BURST) if number not in LOST]
    assert transport._cwnd >= compat.LEAST_WINDOW_BYTES


def lose(transport: RTCSctpTransport) -> None:
    """Drop the first try of these data packets, by their first byte."""
    send = transport._send_chunk

    async def lossy(chunk: object) -> None:
        data = getattr(chunk, "user_data", b"")
        if not (len(data) == 1000 and data[0] in LOST):
            await send(chunk)

    setattr(transport, "_send_chunk", lossy)  # noqa: B010


async def test_a_loss_is_told_once_and_not_with_every_acknowledgement() -> None:
    compat.free_window()
    compat.limit_forwards()
    a, b = RTCPeerConnection(RTCConfiguration([])), RTCPeerConnection(RTCConfiguration([]))
    channel = a.createDataChannel("d", ordered=False, maxRetransmits=0)
    opened, forwards = asyncio.Event(), 0
    channel.on("open", opened.set)
    await connect(a, b)
    transport = a.sctp
    assert isinstance(transport, RTCSctpTransport)
    try:
        async with asyncio.timeout(10):
            await opened.wait()
            lose(transport)
            send = transport._send_chunk

            async def count(chunk: object) -> None:
                nonlocal forwards
                forwards += isinstance(chunk, ForwardTsnChunk)
                await send(chunk)

            setattr(transport, "_send_chunk", count)  # noqa: B010
            for number in range(BURST):
                channel.send(bytes([number]) + bytes(999))
                await asyncio.sleep(0.005)
            # All is sent or given up, and the other end knows.
            await until(lambda: not (transport._sent_queue or transport._outbound_queue))
    finally:
        await a.close()
        await b.close()

    assert 1 <= forwards <= 12  # of forty acknowledgements, in a fifth of a second
