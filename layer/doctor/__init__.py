"""What is wrong with a cache, an image, a zip or a function that somebody else made, and how to fix it."""
