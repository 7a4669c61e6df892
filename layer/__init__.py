"""BUILD TIME: turns model names into one pinned, hashed and verified offline bundle."""

import os

# Before anything imports huggingface_hub: with shared blobs a repository's folder holds links out of itself, and a
# copy of it dangles.
os.environ["HF_HUB_DISABLE_SHARED_BLOBS"] = "1"
