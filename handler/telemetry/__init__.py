"""What one invocation did and how long it took: metrics and traces."""
