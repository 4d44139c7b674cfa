"""Rate control: target bit/s in, quantizer, frame rate and base size out.  Pure."""
