"""The CDK app: the bundle's package behind an HTTP API. Knows layer/ and handler/ as files, and imports neither."""

import os

# jsii prints a page of warnings on the Node releases that the pinned CDK CLI still runs on, when aws_cdk is imported:
# app.py imports it by way of this.
os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "18,20")
