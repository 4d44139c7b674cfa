"""The gRPC service: frames in, AIC units out, and back, for programs that are not in a room."""
