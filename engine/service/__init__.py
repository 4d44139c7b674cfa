"""The engine as a service: settings, access, HTTP, and the context that holds them together."""
