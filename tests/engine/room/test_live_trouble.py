"""What goes wrong on real servers: sockets that drop, servers that die, tokens that are no good."""

import asyncio
import contextlib
import time

import pytest
from livekit import api

from auralink.engine.room.data_packet import DataPacket
from auralink.engine.room.data_publication import DataPublication
from auralink.engine.room.errors import AccessRefused, Duplicate, RoomEnded
from auralink.engine.room.livekit_room import LiveKitRoom
from auralink.engine.room.session import State
from auralink.engine.room.video_in import VideoIn

from ...codecs.pictures import moving
from .people import Witness, camera, member, until
from .server import KEY, SECRET, Server, token

SIZE = (320, 240)


async def test_a_lost_signal_connection_is_resumed_without_touching_media(
    livekit: Server, room: str
) -> None:
    async with (
        member(livekit, room, "a") as (a, a_saw),
        member(livekit, room, "b") as (b, seen),
        camera(a, lambda index: moving(index % 60, SIZE)),
    ):
        data = a.publish_data("numbers")
        await until(lambda: seen.track("cam") and seen.track("numbers"))
        video = VideoIn(time.monotonic)
        b.subscribe_video(seen.track("cam"), video.push)
        await video.take()
        numbers: list[int] = []
        b.subscribe_data(
            seen.track("numbers"), lambda packet: numbers.append(int.from_bytes(packet.payload))
        )
        counting = asyncio.create_task(_count_up(data))
        await until(lambda: numbers, "packets")

        for one in (a, b):
            one.signal.cut()
            counts = one.signal.session.counts
            await until(lambda counts=counts: counts.resumes == 1, "resumed")
            async with asyncio.timeout(20):
                for _ in range(15):
                    await video.take()
        counting.cancel()
        last = await counting
        await until(lambda: numbers[-1] == last, "the last packet")
        # Requests still reach the server.
        again = a.publish_data("later")
        await until(lambda: seen.track("later") and again.sid, "published after a resume")

    assert numbers == list(range(numbers[0], last + 1))  # none was lost, or refused
    assert a_saw.joins == seen.joins == 1
    assert not a_saw.losses
    assert not seen.losses


async def _count_up(track: DataPublication) -> int:
    """A packet every 5 ms until cancelled; the last number."""
    number = 0
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            track.send((number + 1).to_bytes(4), 0)
            number += 1
            await asyncio.sleep(0.005)
    return number


async def test_comes_back_when_the_server_does(own_server: Server, room: str) -> None:
    got: list[DataPacket] = []
    async with (
        member(own_server, room, "a") as (a, a_saw),
        member(own_server, room, "b") as (b, b_saw),
    ):
        track = a.publish_data("aic.v")
        await until(lambda: track.sid)
        own_server.stop()
        await until(lambda: a_saw.losses and b_saw.losses, "both notice", 30)
        await asyncio.sleep(1)
        own_server.start()
        await until(lambda: a_saw.joins == 2 and b_saw.joins == 2, "both are back", 30)

        await until(lambda: track.sid, "what was published is published again")
        await until(lambda: b_saw.track("aic.v") == track.sid, "and announced")
        b.subscribe_data(track.sid, got.append)
        deadline = time.monotonic() + 20
        while not got and time.monotonic() < deadline:
            track.send(b"back", 0)
            await asyncio.sleep(0.02)

    assert got
    assert got[0].payload == b"back"


async def test_two_of_one_identity_do_not_fight(livekit: Server, room: str) -> None:
    async with (
        member(livekit, room, "twin") as (_, first),
        member(livekit, room, "twin") as (_, second),
    ):
        await until(lambda: first.ends, "the first gives way")
        await asyncio.sleep(1)
        assert second.joins == 1
        assert not second.ends

    assert first.joins == 1
    assert isinstance(first.ends[0], Duplicate)


@pytest.mark.parametrize(
    ("jwt", "error"),
    [
        (lambda room: token("a", room, secret="another secret that is long enough"), AccessRefused),
        (lambda room: token("a", room, ttl_s=-60), AccessRefused),
        (lambda room: "nonsense", AccessRefused),
    ],
    ids=["wrong secret", "expired", "no token"],
)
async def test_a_bad_token_ends_it_at_once_and_is_never_shown(
    livekit: Server, room: str, jwt: object, error: type[Exception]
) -> None:
    bad = jwt(room)  # type: ignore[operator]

    async with member(livekit, room, "a", jwt=bad) as (one, saw):
        await until(lambda: saw.ends)

    assert isinstance(saw.ends[0], error)
    assert bad not in str(saw.ends[0])
    assert one.signal.session.state is State.ENDED
    assert one.signal.session.counts.connects == 1


async def test_a_server_that_is_not_there_is_tried_again_until_told_to_stop(room: str) -> None:
    nobody = Server("", None)  # type: ignore[arg-type]
    nobody.port = 9  # discard: nobody listens

    witness = Witness()
    one = LiveKitRoom(nobody.url, "token", witness, version="0")
    task = asyncio.create_task(one.run())
    await until(lambda: one.signal.session.counts.connects >= 4, "several tries")
    one.leave()
    async with asyncio.timeout(10):
        await task

    assert witness.joins == 0
    assert witness.ends == [None]


async def test_removed_by_an_administrator_stays_away(livekit: Server, room: str) -> None:
    async with member(livekit, room, "a") as (_, saw):
        async with api.LiveKitAPI(livekit.url.replace("ws", "http"), KEY, SECRET) as admin:
            await admin.room.remove_participant(
                api.RoomParticipantIdentity(room=room, identity="a")
            )
        await until(lambda: saw.ends, "the end")
        await asyncio.sleep(1)

    assert isinstance(saw.ends[0], RoomEnded)
    assert saw.joins == 1


async def test_a_media_path_that_died_is_noticed_and_built_anew(
    livekit: Server, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing leaves this machine any more, and the signal connection does not care."""
    monkeypatch.setattr("auralink.engine.room.liveness.QUESTION_S", 1)
    monkeypatch.setattr("auralink.engine.room.liveness.SILENCE_S", 2.5)
    async with (
        member(livekit, room, "a") as (a, _),
        member(livekit, room, "b") as (b, seen),
        camera(a, lambda index: moving(index % 60, SIZE)),
    ):
        await until(lambda: seen.track("cam"))
        video = VideoIn(time.monotonic)
        b.subscribe_video(seen.track("cam"), video.push)
        before = await video.take()
        assert b.peer is not None
        ice = next(iter(vars(b.peer.path.connection)["_RTCPeerConnection__iceTransports"]))
        for protocol in ice._connection._protocols:
            monkeypatch.setattr(protocol, "datagram_received", lambda data, addr: None)

        await until(lambda: seen.losses, "the loss is noticed")
        assert seen.losses[0].startswith("nothing came over the media path")
        await until(lambda: seen.joins == 2 and seen.track("cam"), "back again")
        b.subscribe_video(seen.track("cam"), video.push)
        async with asyncio.timeout(20):
            after = await video.take()
            while after.pts_us <= before.pts_us:
                after = await video.take()


async def test_an_idle_path_is_not_taken_for_dead(
    livekit: Server, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auralink.engine.room.liveness.QUESTION_S", 1)
    monkeypatch.setattr("auralink.engine.room.liveness.SILENCE_S", 2.5)
    async with member(livekit, room, "a") as (_, saw):
        await asyncio.sleep(3)

    assert not saw.losses


async def test_a_track_may_be_taken_dropped_and_taken_again(livekit: Server, room: str) -> None:
    """The section is re-used for another stream: without `reset_receiver` it stays dead."""
    async with (
        member(livekit, room, "a") as (a, _),
        member(livekit, room, "b") as (b, seen),
        camera(a, lambda index: moving(index % 60, SIZE)),
    ):
        await until(lambda: seen.track("cam"))
        sid = seen.track("cam")
        for _ in range(4):
            video = VideoIn(time.monotonic)
            b.subscribe_video(sid, video.push)
            async with asyncio.timeout(20):
                for _ in range(5):
                    await video.take()
            b.unsubscribe(sid)
            await asyncio.sleep(0.3)


async def test_many_tracks_at_once_do_not_mix(livekit: Server, room: str) -> None:
    """One more than the first offer had sections for, four times over, each of another size."""
    sizes = {f"cam{n}": (160 + 32 * n, 128) for n in range(5)}
    async with member(livekit, room, "a") as (a, _), member(livekit, room, "b") as (b, seen):
        boxes: dict[str, VideoIn] = {}

        async def follow(name: str, size: tuple[int, int]) -> set[tuple[int, int]]:
            async with camera(a, lambda index: moving(index % 60, size), name=name, fps=10):
                await until(lambda: seen.track(name), name)
                box = boxes[name] = VideoIn(time.monotonic)
                b.subscribe_video(seen.track(name), box.push)
                async with asyncio.timeout(30):
                    return {(await box.take()).size for _ in range(10)}

        found = await asyncio.gather(*(follow(name, size) for name, size in sizes.items()))

    assert found == [{size} for size in sizes.values()]
