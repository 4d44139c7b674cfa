"""The ``auralink`` command."""
