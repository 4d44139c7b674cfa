"""Every correction to aiortc that LiveKit needs, each with what happens without it.

For aiortc 1.16 (checked at start, since private names are used).  The live tests fail without those
marked *; the others were seen to matter on other machines or are demanded by the protocol.

==========================  =================================================================
transceivers, then channels* with channels first and one bundle it stops the shared transport
                            (`peer.py` keeps that order)
`register_streams`*         re-used sections stay dead: packets of a stream that was announced
                            in a later answer go to no receiver, retransmissions never
`reset_receiver`*           a re-used section whose stream changed gives no frame ever again
`NackRepeater`*             a gap is reported once; if that report or its answer is lost, the
                            picture stands for up to 8 s
`prompt_frames`             a picture waits for the first packet of the next one, 33 ms; and
                            a re-used section whose new stream began before anybody listened shows
                            nothing for ever: its decoder takes the pictures for those of the last
                            stream, whose end LiveKit made black and 8x8
`hide_idle_sections`        sections that only receive announce streams nobody sends
`limit_chunks`              1200-byte SCTP chunks exceed what tunnels and relays pass
`free_window`               SCTP halves its window at every loss and stands still for a second when
                            the last packet of a burst is lost: at 10 % loss pictures come 0.9 s
                            late, several times a minute, and our own rate control is misled
`limit_forwards`            after a loss each acknowledgement brings a FORWARD TSN, and that brings
                            another: 120 kbit/s of both at 2 % loss
`use_addresses`             loopback is never offered, and on a machine with many addresses each
                            costs connecting a little time
`PublisherClock`            sound passes a jitter buffer, pictures do not: by their arrival they are
                            80 ms apart
`end_sender`*               a track that is sent no more keeps two tasks, a third of a megabyte, and
                            whoever is asked for its keys: with a relay's stream three megabytes
`on_key_request`            the sender's own encoder would get the request, ours does not
==========================  =================================================================
"""

import re
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, final

import aioice.ice
import aiortc
import aiortc.rtcsctptransport
from aiortc import RTCPeerConnection, RTCRtpReceiver, RTCRtpSender, RTCRtpTransceiver
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtcrtpreceiver import NackGenerator, TimestampMapper
from aiortc.rtcsctptransport import ForwardTsnChunk, RTCSctpTransport
from aiortc.rtp import AnyRtcpPacket, RtcpSrPacket, RtpPacket
from aiortc.utils import uint32_gt

from auralink.codecs.errors import UnsupportedError
from auralink.engine.room import key_pictures
from auralink.engine.room.prompt_buffer import PromptBuffer, Waiting

VERSION: Final = "1.16"
# RTP without extensions, the tag of SRTP, UDP, IP: what a media packet costs beside its payload.
RTP_OVERHEAD_BYTES: Final = 12 + 10 + 8 + 20
CHUNK_BYTES: Final = 1100
# A second of 500 kbit/s: more than what a healthy link of that rate ever has in flight.
LEAST_WINDOW_BYTES: Final = 64_000
# Of the time without an answer after which reliable messages are sent again.  RFC 9260 recommends a
# second; libwebrtc's own SCTP uses 0.4.
RTO_MIN_S: Final = 0.4
FORWARD_S: Final = 0.2  # between notices that the same packets are given up
FRESH_FORWARD_S: Final = 0.04  # between notices of different ones
REPEAT_S: Final = 0.06  # between reports of the same gap
_REPEATS: Final = 8  # half a second; then a key frame is the faster way
_MOST_AT_ONCE: Final = 64

_KEY_REQUEST: Final = "_send_keyframe"
_AUDIO_BUFFER: Final = 16
_AUDIO_PREFETCH: Final = 4


def check() -> None:
    """
    Raises:
        UnsupportedError: another aiortc, or one without the names used here.
    """
    if not aiortc.__version__.startswith(VERSION + "."):
        raise UnsupportedError(f"aiortc {aiortc.__version__} is not {VERSION}: install that one")
    missing = [
        name
        for owner, name in (
            (RTCPeerConnection, "_RTCPeerConnection__remoteDescription"),
            (RTCRtpReceiver, "_handle_rtp_packet"),
            (RTCRtpReceiver, "_send_rtcp_nack"),
            (RTCRtpReceiver, "_send_rtcp_pli"),
            (RTCRtpSender, _KEY_REQUEST),
        )
        if not hasattr(owner, name)
    ]
    if missing:
        raise UnsupportedError(f"aiortc {aiortc.__version__} lacks {', '.join(missing)}")


def limit_chunks() -> None:
    """Keep SCTP packets within 1200 bytes of UDP payload, DTLS and SCTP headers included."""
    aiortc.rtcsctptransport.USERDATA_MAX_LENGTH = CHUNK_BYTES


def free_window() -> None:
    """Leave congestion to whoever sends, in the whole process; SCTP only bounds what is in flight.

    Everything big that is sent here is paced by `auralink.engine.link.budget`, which follows delay
    and loss; a second control below it, made for bulk transfer, starves thin streams.
    """
    if not isinstance(getattr(RTCSctpTransport, "_cwnd", None), property):
        setattr(RTCSctpTransport, "_cwnd", property(_window, _set_window))  # noqa: B010
    setattr(aiortc.rtcsctptransport, "SCTP_RTO_MIN", RTO_MIN_S)  # noqa: B010 - typed as int there


def limit_forwards() -> None:
    """Tell a peer to skip what was lost once, and again only when an answer is due.

    RFC 3758, section 3.5, C4 and F2: a sender should limit how often it sends FORWARD TSN.
    """
    name = "_update_advanced_peer_ack_point"
    decide = getattr(RTCSctpTransport, name)
    if getattr(decide, "limited", False):
        return

    def limited(transport: Any) -> None:
        decide(transport)
        chunk = transport._forward_tsn_chunk
        if chunk is None:
            return
        known, at_s = vars(transport).get("_forwarded", (None, 0.0))
        now_s = time.monotonic()
        if now_s - at_s < (FORWARD_S if known == chunk.cumulative_tsn else FRESH_FORWARD_S):
            transport._forward_tsn_chunk = None
            return
        vars(transport)["_forwarded"] = chunk.cumulative_tsn, now_s

    receive = RTCSctpTransport._receive_forward_tsn_chunk

    async def receive_news(transport: Any, chunk: ForwardTsnChunk) -> None:
        """The peer repeats itself with each of our acknowledgements until one gets through."""
        is_news = uint32_gt(chunk.cumulative_tsn, transport._last_received_tsn)
        now_s = time.monotonic()
        if not is_news and now_s - vars(transport).get("_answered_s", 0.0) < FORWARD_S:
            return
        vars(transport)["_answered_s"] = now_s
        await receive(transport, chunk)

    setattr(limited, "limited", True)  # noqa: B010 - a mark on a function
    setattr(RTCSctpTransport, name, limited)
    setattr(RTCSctpTransport, "_receive_forward_tsn_chunk", receive_news)  # noqa: B010


def _window(transport: Any) -> int:
    return int(vars(transport).get("_window", LEAST_WINDOW_BYTES))


def _set_window(transport: Any, wanted: int) -> None:
    vars(transport)["_window"] = max(wanted, LEAST_WINDOW_BYTES)


def use_addresses(addresses: Sequence[str]) -> None:
    """Offer these local addresses for media and no others, in the whole process.

    aioice offers all but loopback ones, which a server on the same machine may need.
    """
    chosen = list(addresses)
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: chosen


def hide_idle_sections(sdp: str) -> str:
    """The description without streams in sections that send nothing."""
    head, *sections = re.split(r"(?m)^(?=m=)", sdp)
    kept = [
        re.sub(r"(?m)^a=(msid|ssrc|ssrc-group):.*\r?\n", "", section)
        if re.search(r"(?m)^a=(recvonly|inactive)\r?$", section)
        else section
        for section in sections
    ]
    return "".join([head, *kept])


def register_streams(connection: RTCPeerConnection, known: dict[str, int]) -> None:
    """Send each announced stream, and its retransmissions, to the receiver of its own section.

    Args:
        known: primary stream by section; updated.  A section whose stream changed starts afresh.
    """
    description = _private(connection, "RTCPeerConnection", "remoteDescription")()
    for transceiver in connection.getTransceivers():
        if transceiver.currentDirection not in ("recvonly", "sendrecv"):
            continue
        index = transceiver._get_mline_index()
        if index is None or index >= len(description.media):
            continue
        streams = [stream.ssrc for stream in description.media[index].ssrc]
        if not streams or transceiver.mid is None:
            continue
        primary = streams[0]
        receiver = transceiver.receiver
        if known.get(transceiver.mid, primary) != primary:
            reset_receiver(receiver)
        known[transceiver.mid] = primary
        table = receiver.transport._rtp_router.ssrc_table
        table[primary] = receiver
        if len(streams) > 1:
            table[streams[1]] = receiver
            _private(receiver, "RTCRtpReceiver", "rtx_ssrc")[streams[1]] = primary


def reset_receiver(receiver: RTCRtpReceiver) -> None:
    """Forget everything that belongs to the stream before."""
    video = _private(receiver, "RTCRtpReceiver", "kind") == "video"
    _set(receiver, "jitter_buffer", _prompt_buffer(receiver) if video else _audio_buffer())
    _set(receiver, "nack_generator", NackGenerator() if video else None)
    _set(receiver, "timestamp_mapper", TimestampMapper())
    _private(receiver, "RTCRtpReceiver", "remote_streams").clear()


def prompt_frames(receiver: RTCRtpReceiver) -> None:
    """Give a video receiver's pictures to its decoder when their last packet is there."""
    _set(receiver, "jitter_buffer", _prompt_buffer(receiver))
    handle = receiver._handle_rtp_packet

    async def handle_all(packet: RtpPacket, arrival_time_ms: int) -> None:
        await handle(packet, arrival_time_ms=arrival_time_ms)
        buffer = _private(receiver, "RTCRtpReceiver", "jitter_buffer")
        while buffer.more:
            waiting = buffer.more.popleft()
            codec = _private(receiver, "RTCRtpReceiver", "codecs").get(waiting.payload_type)
            if codec is None or not _private(receiver, "RTCRtpReceiver", "decoder_thread"):
                continue
            mapper = _private(receiver, "RTCRtpReceiver", "timestamp_mapper")
            waiting.frame.timestamp = mapper.map(waiting.frame.timestamp)
            _private(receiver, "RTCRtpReceiver", "decoder_queue").put((codec, waiting.frame))

    setattr(receiver, "_handle_rtp_packet", handle_all)  # noqa: B010 - it is a method


def count_bytes(receiver: RTCRtpReceiver, heard: Callable[[int], None]) -> None:
    """Tell ``heard`` what each media packet cost on the wire, retransmissions included."""
    handle = receiver._handle_rtp_packet

    async def count(packet: RtpPacket, arrival_time_ms: int) -> None:
        heard(len(packet.payload) + packet.padding_size + RTP_OVERHEAD_BYTES)
        await handle(packet, arrival_time_ms=arrival_time_ms)

    setattr(receiver, "_handle_rtp_packet", count)  # noqa: B010 - it is a method


async def end_sender(transceiver: RTCRtpTransceiver) -> None:
    """Stop a sender for good; what its section, which stays in the description, holds is freed."""
    await transceiver.sender.stop()
    _private(transceiver.sender, "RTCRtpSender", "rtp_history").clear()
    vars(transceiver.sender).pop(_KEY_REQUEST, None)
    _set(transceiver.receiver, "remote_bitrate_estimator", None)


def on_key_request(sender: RTCRtpSender, asked: Callable[[], None]) -> None:
    """Tell ``asked`` of picture loss reports instead of the encoder inside aiortc."""
    setattr(sender, _KEY_REQUEST, asked)


@final
class NackRepeater:
    """Reports gaps of one video receiver again until they are filled or given up.

    Call `repeat` every `REPEAT_S`.
    """

    def __init__(self, receiver: RTCRtpReceiver) -> None:
        self._receiver = receiver
        self._reported: dict[int, int] = {}  # sequence number -> times
        self.given_up = 0

    async def repeat(self, ssrc: int) -> None:
        generator = _private(self._receiver, "RTCRtpReceiver", "nack_generator")
        missing = set() if generator is None else set(generator.missing)
        self._reported = {number: self._reported.get(number, 0) + 1 for number in missing}
        again = sorted(number for number, times in self._reported.items() if times <= _REPEATS)
        if again:
            await self._receiver._send_rtcp_nack(ssrc, again[:_MOST_AT_ONCE])
        if len(again) < len(missing):
            self.given_up += 1
            self._reported.clear()
            generator.missing.clear()
            buffer = _private(self._receiver, "RTCRtpReceiver", "jitter_buffer")
            _set(self._receiver, "jitter_buffer", buffer.anew())
            await self._receiver._send_rtcp_pli(ssrc)


@final
class PublisherClock:
    """When the publisher captured a frame, on its own clock (RFC 3550, section 6.4.1).

    Sender reports pair the RTP time of each stream with one wall clock; servers forward them.
    """

    def __init__(self, receiver: RTCRtpReceiver) -> None:
        self._receiver = receiver
        self._report: tuple[int, int] | None = None  # microseconds, RTP time
        handle = receiver._handle_rtcp_packet

        async def note(packet: AnyRtcpPacket) -> None:
            if isinstance(packet, RtcpSrPacket):
                info = packet.sender_info
                self._report = info.ntp_timestamp * 1_000_000 >> 32, info.rtp_timestamp
            await handle(packet)

        setattr(receiver, "_handle_rtcp_packet", note)  # noqa: B010 - it is a method

    def capture_us(self, pts: int | None, rate_hz: int) -> int | None:
        """
        Args:
            pts: of a frame as aiortc gives it.

        Returns:
            Microseconds of the publisher's clock; None before its first report.
        """
        mapper = _private(self._receiver, "RTCRtpReceiver", "timestamp_mapper")
        if self._report is None or pts is None or mapper._origin is None:
            return None
        at_us, rtp = self._report
        ticks = (pts + mapper._origin - rtp + (1 << 31)) % (1 << 32) - (1 << 31)
        return int(at_us + ticks * 1_000_000 // rate_hz)


def _audio_buffer() -> JitterBuffer:
    return JitterBuffer(capacity=_AUDIO_BUFFER, prefetch=_AUDIO_PREFETCH)


def _prompt_buffer(receiver: RTCRtpReceiver) -> PromptBuffer:
    """For a stream that is new: its decoder may have had another one before."""

    def begins(picture: Waiting) -> bool:
        codec = _private(receiver, "RTCRtpReceiver", "codecs").get(picture.payload_type)
        return codec is None or key_pictures.begins(codec.name, picture.frame.data)

    return PromptBuffer(begins)


def _private(owner: object, of: str, name: str) -> Any:
    return getattr(owner, f"_{of}__{name}")


def _set(receiver: RTCRtpReceiver, name: str, value: object) -> None:
    setattr(receiver, f"_RTCRtpReceiver__{name}", value)
