"""Relays: a room's tracks over a thin link, and ordinary tracks again at its other end."""
