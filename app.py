"""The CDK app: settings and package -> stack -> synth. The same input gives the same template."""

import sys

from console import preflight


def main() -> int:
    """Synthesize; returns the exit status."""
    preflight.check(preflight.DEPLOYMENT)
    from console.run import run  # late, as all that a Python may be too old for, or lack
    from infra.assembly import synthesize
    from infra.errors import InfraError

    return run(synthesize, (InfraError,))


if __name__ == "__main__":
    sys.exit(main())
