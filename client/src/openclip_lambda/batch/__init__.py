"""A whole bucket or folder: what it costs, its runs on AWS or on this machine, and their results."""
