"""What embeddings are held to, wherever a test compares them with open_clip's. Contracts compare it with the code's own."""

MIN_COSINE = {"fp32": 0.99999, "int8": 0.999}  # the worst sample's cosine to open_clip, by precision
