"""BUILD TIME: turns model names into one pinned, hashed and verified offline bundle."""

import os

from console import preflight

if preflight.starts_command():  # before a missing package ends in a traceback
    preflight.check_builder()

# Before anything imports huggingface_hub: with shared blobs a repository's folder holds links out of itself, and a
# copy of it dangles.
os.environ["HF_HUB_DISABLE_SHARED_BLOBS"] = "1"
