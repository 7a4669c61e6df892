"""Run a module without the packages that only the builder has: `python -m layer.bundle.runtime_only <module> ...`.

A fast engine's bundle is verified this way, since in Lambda none of these packages will be there.
"""

import runpy
import sys

BUILD_ONLY = ("torch", "torchvision", "timm", "open_clip", "transformers", "huggingface_hub", "safetensors", "onnx")


def main() -> None:
    """Hide the packages and run the module that the command line names, as `python -m` would."""
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: python -m layer.bundle.runtime_only <module> ...")
    for name in BUILD_ONLY:
        sys.modules[name] = None  # type: ignore[assignment]  # importing it is now an ImportError
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
