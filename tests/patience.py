"""How long a test waits for what has to come. It tells a hang from work, and no busy machine from an idle one.

A process that imports torch takes a second on an idle machine, and half a minute was seen on a busy one.
"""

SECONDS = 300  # for one thing: a server that starts, a file that appears, a response, a process that ends
BUILD_SECONDS = 600  # for a build or a command of a page; pytest ends a test after 900, see pyproject.toml
