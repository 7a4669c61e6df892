"""`python -m layer`."""

import sys

from layer.cli import main

sys.exit(main())
