"""The distribution `openclip-lambda`, in `src/openclip_lambda`: the client of the deployed API, as command and library.

Here is what lets `python -m client` start it from the repository, where it is not installed.
"""

from console import preflight

if preflight.starts_command():
    preflight.check(preflight.CLIENT)
