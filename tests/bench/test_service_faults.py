"""Faults of clocks, secrets, starts, addresses, bitstreams: real, and a trial can fail."""

import random
from pathlib import Path

import pytest
from cryptography import x509

from auralink.bench.fault import addresses, bitstreams, canaries, clocks, rooms, starting
from auralink.bench.fault.addresses import Pem
from auralink.bench.fault.registry import FAULTS
from auralink.codecs.video.receiver import Receiver

FAMILIES = (addresses, bitstreams, canaries, clocks, rooms, starting)


def test_all_are_in_the_registry_and_tried_twenty_times() -> None:
    ours = {fault for family in FAMILIES for fault in family.FAULTS}

    assert ours <= set(FAULTS)
    assert {fault.number for fault in ours} == {"F28", "F30", "F31", "F34", "F44", "F46", "F49"}
    assert all(fault.trials >= 20 and fault.expected for fault in ours)


def test_damaged_packets_pass_a_trial() -> None:
    (fault,) = bitstreams.FAULTS
    with fault.prepare() as stream:
        trial = fault.inject(stream, 3)

    assert trial.wrong == ""
    assert trial.figures["key units until shown"] >= 1


def test_a_receiver_that_raises_fails_its_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    def falls(self: Receiver, datagram: bytes) -> list[object]:
        raise IndexError

    (fault,) = bitstreams.FAULTS
    with fault.prepare() as stream:
        monkeypatch.setattr(Receiver, "push", falls)
        trial = fault.inject(stream, 3)

    assert trial.wrong.startswith("raised IndexError")


def test_a_receiver_that_shows_nothing_any_more_fails_its_trial(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (fault,) = bitstreams.FAULTS
    with fault.prepare() as stream:
        monkeypatch.setattr(Receiver, "push", lambda self, datagram: [])
        trial = fault.inject(stream, 3)

    assert trial.wrong == "good stream not shown after it"


def test_every_secret_is_another_word_and_the_engine_is_given_it() -> None:
    secrets = canaries._secrets(random.Random(1))
    given = str(canaries._environment(secrets, records=False))

    assert len(set(secrets.values())) == len(secrets)
    assert all(word in given for word in secrets.values())


@pytest.mark.parametrize("days", [-1.0, 30.0])
def test_certificates_end_when_they_are_told_to(tmp_path: Path, days: float) -> None:
    pem = Pem(tmp_path / "a.crt", tmp_path / "a.key")

    pem.write("localhost", days=days)

    made = x509.load_pem_x509_certificate(pem.certificate.read_bytes())
    left = made.not_valid_after_utc - made.not_valid_before_utc
    assert left.days == pytest.approx(30 + days, abs=1)


def test_a_negative_figure_is_found_on_a_page() -> None:
    page = b'# HELP a -1\na 1.0\nb{c="-"} 2.0\nd -0.5\n'

    assert clocks._negative(page) == ["d -0.5"]
