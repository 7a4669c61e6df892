"""RUNTIME: the only code that ships. Serves OpenCLIP embeddings from a verified offline bundle."""
