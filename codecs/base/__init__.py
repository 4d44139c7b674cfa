"""Base codecs: standard encoders and decoders under per-frame control, behind two protocols."""
