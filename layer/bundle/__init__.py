"""The verified offline bundle: build, manifest, reference vectors, verification."""
