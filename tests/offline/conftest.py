"""Sets the offline environment before any test here imports open_clip: huggingface_hub freezes it at import."""

from hypothesis import HealthCheck, settings

from handler import offline  # noqa: F401

# The same examples in every run, and no clock: a busy machine draws them as slowly as it does all else.
settings.register_profile("offline", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("offline")
