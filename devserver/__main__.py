"""`python -m devserver`."""

import sys

from devserver.command import main

sys.exit(main())
