"""Bottom layer: media values, bitstream, base codecs.  Synchronous; imports no sibling."""
