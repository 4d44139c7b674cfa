"""Failures that a real server plays when it is asked to (docs/rooms.md, scenarios 6, 7 and 27)."""

import asyncio

import pytest
from livekit.protocol import rtc

from auralink.engine.room.data_packet import DataPacket
from auralink.engine.room.errors import ConnectionFailed

from .people import member, until
from .server import Server

AT_ONCE = ["server_leave", "node_failure"]
ON_RESUME = [
    "disconnect_signal_on_resume",
    "disconnect_signal_on_resume_no_messages",
    "leave_request_full_reconnect",
]


@pytest.mark.parametrize("scenario", AT_ONCE + ON_RESUME)
async def test_a_participant_is_there_again_and_its_packets_flow(
    livekit: Server, room: str, scenario: str
) -> None:
    async with member(livekit, room, "a") as (a, saw), member(livekit, room, "b") as (b, seen):
        track = a.publish_data("aic.v.1")
        await until(lambda: track.sid and seen.track("aic.v.1"), "the track")
        counts = a.signal.session.counts
        before = counts.connects + counts.resumes
        a.request(rtc.SignalRequest(simulate=rtc.SimulateScenario(**{scenario: True})))
        if scenario in ON_RESUME:
            await asyncio.sleep(0.2)  # nothing answers; the request must be there first
            a.signal.cut()
        await until(lambda: counts.connects + counts.resumes > before or saw.losses, "a failure")
        got: list[DataPacket] = []
        taken: set[str] = set()

        def flows() -> bool:
            if track.sid and seen.track("aic.v.1") == track.sid and track.sid not in taken:
                taken.add(track.sid)
                b.subscribe_data(track.sid, got.append)
            return bool(track.send(b"x", 0) and got)

        await until(flows, "packets flow again")
        assert not saw.ends
        assert saw.joins == 1 + len(saw.losses)


async def test_a_server_that_prefers_tcp_is_named_with_the_remedy(
    own_server: Server, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auralink.engine.room.media_path._CANDIDATE_S", 1.0)
    switch = rtc.SimulateScenario(switch_candidate_protocol=rtc.CandidateProtocol.TCP)
    async with member(own_server, room, "a") as (a, saw):
        await until(lambda: a.peer is not None and a.peer.path.usable.is_set(), "media")
        a.request(rtc.SignalRequest(simulate=switch))
        await asyncio.sleep(0.2)  # nothing answers; from then on the server remembers it
        a.signal.media_failed(ConnectionFailed("media broke"))
        await until(lambda: len(saw.losses) > 1, "the reason")

    assert saw.losses[0] == "media broke"
    assert "no UDP address" in saw.losses[1]
