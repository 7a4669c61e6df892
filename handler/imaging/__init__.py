"""Images: fetched, decoded within limits, and turned into pixels as open_clip does it."""
