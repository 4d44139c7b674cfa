"""What the engine tells about itself: metrics, rows per interval, logs, traces."""
