"""The commands of `openclip-lambda batch`: one verb a module."""
