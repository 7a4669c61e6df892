"""The CDK app: settings and package -> stack -> synth. The same input gives the same template."""

import sys

from infra.assembly import synthesise
from infra.errors import InfraError

try:
    synthesise()
except InfraError as error:
    sys.exit(f"error: {error}")
