"""Root of every exception AuraLink raises on purpose, split by who must act."""


class AuraLinkError(Exception):
    """Base class; catch this to catch them all."""


class BitstreamError(AuraLinkError):
    """The bytes are not a valid AIC stream.  The sender, or the link, is at fault."""


class UnsupportedError(AuraLinkError):
    """A valid request that this build or machine cannot serve (unknown profile, no such codec)."""


class InputError(AuraLinkError):
    """The caller's media or arguments are unusable: an unreadable file, a bad size."""


class EncoderError(AuraLinkError):
    """A native encoder refused or died.  The handle is dead: open a new one."""


class DecoderError(AuraLinkError):
    """A native decoder refused a unit.  The picture stays as it was."""
