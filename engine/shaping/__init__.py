"""Bad networks for unmodified programs: two network namespaces and a process that carries packets.

::

    namespace "near"                                        namespace "far"
    programs ── eth0 (TUN) ──► forwarder: rate, queue, loss, delay ──► eth0 (TUN) ── programs
                10.77.0.1     ◄──────────────── and back ───           10.77.0.2

Whole IP packets are carried, so rates count every header, and TCP, STUN and DTLS feel the link as
media does.  Linux, as root.  Namespaces have no names: they end with the last process in them.
"""
