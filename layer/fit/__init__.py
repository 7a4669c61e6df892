"""Whether a checkpoint's tensors have the shapes of its config, and which field to change."""
