"""From a verified bundle to what Lambda takes: an image's build context, or a function's zip with its layers."""

# `--with`: packages that not every deployment needs, each pinned in requirements/<name>.txt.
EXTRAS = ("batch", "search")
