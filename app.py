"""The CDK app: settings and package -> stack -> synth. The same input gives the same template."""

import sys

from aws_cdk import App

from infra.assembly import assemble
from infra.errors import InfraError

app = App()
try:
    assemble(app)
except InfraError as error:
    sys.exit(f"error: {error}")
app.synth()
