"""What models.toml says of evaluation: on which images, and how much may be lost."""
