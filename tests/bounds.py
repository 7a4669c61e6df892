"""How near to open_clip's an embedding has to be, wherever a test compares the two. A contract holds the code to it."""

MIN_COSINE = {"fp32": 0.99999, "int8": 0.999}  # the worst sample's cosine, by precision
