"""Checkpoints read as tensors. Nothing in a file is ever executed."""
