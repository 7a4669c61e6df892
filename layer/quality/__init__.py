"""The quality certificate: what a bundle's outputs lose in retrieval and zero-shot, on the user's own images."""
