"""What a registry of jobs refuses.  None of these is a failure of a job."""

from auralink.codecs.errors import AuraLinkError


class JobRefused(AuraLinkError):
    """Base class: nothing was started or changed."""


class JobsFull(JobRefused):
    """As many jobs run here as may.  Another engine, or a later time, may have room."""


class Draining(JobRefused):
    """This engine ends and takes nothing new.  Ask another one."""


class JobExists(JobRefused):
    """A job with this id is there already.  The caller made the id, so the caller must choose."""


class JobUnknown(JobRefused):
    """No such job here: never started, or ended so long ago that it was forgotten."""
