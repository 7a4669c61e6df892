"""`python -m layer`."""

import sys

from layer.cli.parser import main

sys.exit(main())
