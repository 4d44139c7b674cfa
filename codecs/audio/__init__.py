"""AIC audio: Opus frames in AIC packets."""
