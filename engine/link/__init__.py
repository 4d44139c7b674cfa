"""The thin link, sans-IO: an emulated network and what repairs its losses."""
