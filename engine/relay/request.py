"""A relay as people ask for it in JSON: the metadata of a dispatch, the body of a request."""

from dataclasses import replace
from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from auralink.codecs.errors import InputError
from auralink.codecs.video.profiles import DEFAULT_PROFILE, PROFILES
from auralink.engine.relay.job import Place, RelaySettings, Role
from auralink.engine.relay.options import RelayOptions
from auralink.engine.room.backends import Backend

MAX_BYTES: Final = 16_384  # of JSON: sixteen identities and everything else take one of these
_START_BPS: Final = 150_000

Text: TypeAlias = Annotated[str, Field(max_length=256)]
Source: TypeAlias = Literal["camera", "screen_share", "microphone", "screen_share_audio", "unknown"]


class RelayRequest(BaseModel):
    """Everything has a default; what is not named here is refused.

    Attributes:
        role: which half runs: "send", "receive", "both".
        to_room: where the tracks appear again; the room itself if it is empty.
        only: identities whose tracks are taken; empty: everybody's.
        start_bps: what is tried first; the lesser of 150 kbit/s and the rate if it is 0.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    role: Literal["send", "receive", "both"] = "both"
    to_room: Text = ""
    rate_bps: int = Field(default=300_000, ge=20_000, le=100_000_000)
    start_bps: int = Field(default=0, ge=0, le=100_000_000)
    profile: str = DEFAULT_PROFILE
    audio_bps: int = Field(default=16_000, ge=6_000, le=64_000)
    width: int = Field(default=1280, ge=16, le=4096)
    height: int = Field(default=720, ge=16, le=4096)
    fps: float = Field(default=30.0, ge=1, le=120)
    only: list[Text] = Field(default_factory=list, max_length=64)
    sources: list[Source] = Field(
        default_factory=lambda: sorted(RelayOptions().sources),  # type: ignore[arg-type]
        min_length=1,
        max_length=5,
    )
    max_streams: int = Field(default=16, ge=1, le=64)
    codec: Literal["vp8", "h264"] = "vp8"
    preset: int | None = Field(default=None, ge=1, le=12)
    backend: Backend = "aiortc"

    @classmethod
    def parse(cls, text: str | bytes, defaults: Self | None = None) -> Self:
        """
        Args:
            text: JSON; empty: all defaults.
            defaults: for what the text does not name.

        Raises:
            InputError: not JSON, or names the field and what is wrong with it.
        """
        base = defaults or cls()
        if not text.strip():
            return base
        if len(text) > MAX_BYTES:
            raise InputError(f"a job description of {len(text)} characters: at most {MAX_BYTES}")
        try:
            given = cls.model_validate_json(text)
        except ValidationError as wrong:
            raise _named(wrong) from None
        found = base.model_copy(
            update={name: getattr(given, name) for name in given.model_fields_set}
        )
        found.check()
        return found

    def check(self) -> None:
        """
        Raises:
            InputError: values that do not go together.
        """
        if self.profile not in PROFILES:
            raise InputError(f"profile {self.profile!r}: one of {', '.join(PROFILES)}")
        self.options()

    def options(self) -> RelayOptions:
        return RelayOptions(
            rate_bps=self.rate_bps,
            start_bps=self.start_bps or min(self.rate_bps, _START_BPS),
            profile=self.profile,
            size=(self.width, self.height),
            fps=self.fps,
            audio_bps=self.audio_bps,
            identities=frozenset(self.only),
            sources=frozenset(self.sources),
            max_streams=self.max_streams,
            encoder=replace(RelayOptions().encoder, preset=self.preset),
        )

    def settings(self, near: Place, far: Place, *, name: str, token: str = "") -> RelaySettings:
        """
        Args:
            far: its room is replaced by `to_room`, if that is given.
            name: identities of the bots are made of it.
            token: see `RelaySettings`.
        """
        target = Place(access=far.access, room=self.to_room or far.room)
        return RelaySettings(
            near=near,
            far=target,
            role=Role(self.role),
            name=name,
            codec=self.codec,
            options=self.options(),
            backend=self.backend,
            token=token,
        )


def _named(wrong: ValidationError) -> InputError:
    """The first few, by field; what was given is not quoted, for it may be anything."""
    told = []
    for one in wrong.errors(include_url=False, include_input=False, include_context=False)[:3]:
        field = ".".join(str(part) for part in one["loc"])
        told.append(f"{field}: {one['msg']}" if field else one["msg"])
    error = InputError("; ".join(told))
    error.add_note(f"fields are {', '.join(RelayRequest.model_fields)}")
    return error
