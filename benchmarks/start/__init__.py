"""A cold start taken apart: what each step of it takes, engine by engine."""
