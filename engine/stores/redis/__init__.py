"""What several engines share through Redis, each part with a way to go on without it."""
