"""The builder's command line."""
