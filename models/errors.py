"""What can be wrong with a model, split by who must act."""

from auralink.codecs.errors import AuraLinkError


class ModelError(AuraLinkError):
    """Root of all errors about models."""


class UnknownModel(ModelError):
    """No such id or name here.  The caller, or the peer whose stream asks for it, is at fault."""


class ManifestError(ModelError):
    """`manifest.json` is missing or does not say what it must.

    Who made the package is at fault.
    """


class DamagedModel(ModelError):
    """A file is missing, truncated or has another hash.  The operator must install it again."""


class RefusedModel(ModelError):
    """The file is whole but may not be run: too large, external data, other inputs or outputs.

    Who made the weights is at fault.
    """


class WrongModel(ModelError):
    """The network runs, but does not compute what its golden vectors say.

    The weights, or this machine, are at fault.
    """


class RunFailed(ModelError):
    """ONNX Runtime refused the inputs of a run, or failed in the middle of it."""


class RunLate(ModelError):
    """A run was ended because its time was over."""


class SwapRefused(ModelError):
    """A model that is good came too late: a later one serves, or nothing serves any more."""
