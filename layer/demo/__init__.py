"""The embedded demo model: how its images are drawn, how it is trained, and the trained snapshot itself."""
