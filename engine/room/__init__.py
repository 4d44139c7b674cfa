"""LiveKit: signalling, peer connection, tracks, data tracks.

::

    session (pure) ◄─► signal (socket) ─┐
    peer ◄─ compat                      ├─► livekit_room ─► transport (what the relay sees)
    data_packet, data_channels ─────────┘
"""
