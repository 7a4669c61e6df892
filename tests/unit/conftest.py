"""Sets the offline environment before any test here imports open_clip: huggingface_hub freezes it at import."""

from handler import offline  # noqa: F401
