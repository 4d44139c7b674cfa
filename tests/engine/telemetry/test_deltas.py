"""Counts of jobs become differences that may be added up for ever."""

from auralink.engine.telemetry.deltas import JobDeltas

from .snapshots import down, job, room, up


def test_the_first_look_takes_what_there_is_and_the_next_what_is_new() -> None:
    deltas = JobDeltas()

    (first,) = deltas.take([job(up())]).streams
    (second,) = deltas.take([job(up(outcomes={"coded": 130, "skipped": 10}, bytes=26_000))]).streams
    third = deltas.take([job(up(outcomes={"coded": 130, "skipped": 10}, bytes=26_000))]).streams

    assert first.outcomes == {"coded": 100, "skipped": 10, "dropped_rate": 5}
    assert (first.link_bytes, first.kind, first.encoder) == (20_000, "video", "hybrid/svt")
    assert second.outcomes == {"coded": 30}
    assert second.link_bytes == 6_000
    assert third == ()


def test_a_relay_put_together_anew_begins_at_zero() -> None:
    deltas = JobDeltas()
    deltas.take([job(up(bytes=20_000))])

    found = deltas.take([job(up(bytes=500, outcomes={"coded": 3}), restarts=1)])

    assert found.restarts == 1
    assert found.streams[0].link_bytes == 500
    assert found.streams[0].outcomes == {"coded": 3}


def test_a_stream_begun_anew_begins_at_zero() -> None:
    deltas = JobDeltas()
    deltas.take([job(up(bytes=20_000, original_bytes=90_000))])

    (found,) = deltas.take([job(up(bytes=500, original_bytes=700, outcomes={"coded": 3}))]).streams

    assert (found.link_bytes, found.original_bytes, found.outcomes) == (500, 700, {"coded": 3})


def test_a_job_that_is_forgotten_takes_nothing_back() -> None:
    deltas = JobDeltas()
    deltas.take([job(up()), job(up(), name="j2")])

    assert deltas.take([job(up())]).streams == ()


def test_frames_that_fell_back_are_told_by_their_reason() -> None:
    deltas = JobDeltas()
    answers = {"coded": 90, "dropped_stale": 4, "fell_back_no_model": 6, "fell_back_invalid": 2}

    (first,) = deltas.take([job(up(answers=answers))]).streams
    (second,) = deltas.take([job(up(answers=answers | {"fell_back_no_model": 9}))]).streams

    assert first.fallbacks == {"no_model": 6, "invalid": 2}
    assert first.outcomes == {"coded": 100, "skipped": 10, "dropped_rate": 5}
    assert second.fallbacks == {"no_model": 3}


def test_sizes_of_original_tracks_are_unknown_until_somebody_measures_them() -> None:
    deltas = JobDeltas()

    (unknown,) = deltas.take([job(up())]).streams
    (known,) = deltas.take([job(up(bytes=30_000, original_bytes=90_000))]).streams

    assert unknown.original_bytes is None
    assert (known.original_bytes, known.link_bytes) == (90_000, 10_000)


def test_sound_counts_packets_and_the_way_out_counts_what_was_shown() -> None:
    sound = {"track": "TR_2", "kind": "audio", "packets": 50, "bytes": 4_000, "lagging": 0}
    heard = {"track": "aic.a.1", "kind": "audio", "packets": 50, "missing": 2, "played": 148}

    found = JobDeltas().take([job(sound, downs=(down(), heard))]).streams

    assert [(one.key.direction, one.kind, dict(one.outcomes)) for one in found] == [
        ("up", "audio", {"coded": 50}),
        ("down", "video", {"decoded": 100, "frozen": 4, "late": 1}),
        ("down", "audio", {"played": 148, "missing": 2}),
    ]


def test_lost_rooms_are_counted_once() -> None:
    deltas = JobDeltas()
    deltas.take([job(rooms=(room(losses=1),))])

    assert deltas.take([job(rooms=(room(losses=3),))]).losses == 2
    assert deltas.take([job(rooms=(room(losses=3),))]).losses == 0
