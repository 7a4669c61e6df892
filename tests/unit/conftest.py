"""Sets the offline environment before any test here imports open_clip: huggingface_hub freezes it at import.

How long an example takes says how busy the machine is, so Hypothesis holds none of them to a time.
"""

from hypothesis import HealthCheck, settings

from handler import offline  # noqa: F401

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
