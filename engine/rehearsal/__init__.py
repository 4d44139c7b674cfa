"""Calls through real servers on this machine, by participants that are not ours.

::

    near site                                            far site
    publisher ──► server ──► relay, sending half ══ thin link ══► server ──► relay, receiving half
    (official SDK)                                                  ▲               │ ordinary track
        └── or straight over the thin link, as a plain client ──────┘◄──────────────┘
                                                                    └──► viewer (official SDK)

Every picture carries its number, so what a viewer saw, and when, can be held against what was
captured.  All processes share one monotonic clock.
"""
