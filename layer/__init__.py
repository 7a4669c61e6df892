"""Build time: from a model hub to a verified offline bundle."""
