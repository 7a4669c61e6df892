"""Where models come from: the hub, local checkpoints, the lock file."""
