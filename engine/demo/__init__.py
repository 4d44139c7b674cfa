"""A call in one process: sender, thin link, receiver, in real time, and what it was like."""
