"""Who is asking, and what they may do.  Pure: keys, time and bytes come in as arguments."""
