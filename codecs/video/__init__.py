"""AIC video: unit and packet syntax, parity, rate control, encoder and decoder state machines."""
