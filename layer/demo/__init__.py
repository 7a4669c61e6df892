"""The embedded demo model: how its pictures are drawn, how it is trained, and the trained snapshot itself."""
