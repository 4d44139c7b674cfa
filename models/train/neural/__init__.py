"""How the learned video codec is trained (extra `train`)."""
