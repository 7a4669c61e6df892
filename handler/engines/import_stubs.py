"""Import libraries without parts that no request needs.

OpenVINO without the modules that build graphs (its operations in seventeen versions) and without its model converter.
ftfy without wcwidth, 3 MB of tables of character widths, which packages leave out.
"""

import sys
from types import ModuleType
from typing import Any

# Twenty-five modules, a third of what `import openvino` takes. The converter alone would bring 140 more.
UNUSED = (
    *(f"openvino.opset{version}" for version in range(1, 18)),
    *("openvino.op", "openvino.helpers", "openvino.experimental", "openvino.preprocess", "openvino.frontend"),
)


def import_ftfy() -> Any:
    """Return the module `ftfy`; `ftfy.formatting` works only if ftfy was imported before, with the real wcwidth."""
    if "ftfy" in sys.modules:
        return sys.modules["ftfy"]
    stub: Any = ModuleType("wcwidth")
    stub.wcwidth = stub.wcswidth = None
    real = sys.modules.get("wcwidth")
    sys.modules["wcwidth"] = stub
    try:
        import ftfy
    finally:
        del sys.modules["wcwidth"]
        if real:
            sys.modules["wcwidth"] = real
    return ftfy


def import_openvino() -> Any:
    """Return the module `openvino`. A later import of one of the left-out modules imports the real one."""
    if "openvino" in sys.modules:
        return sys.modules["openvino"]
    for name in UNUSED:
        sys.modules[name] = ModuleType(name)
    sys.modules.setdefault("openvino.tools.ovc", None)  # type: ignore[arg-type]
    try:
        import openvino
    finally:
        for name in UNUSED:
            del sys.modules[name]
    for name in UNUSED:
        vars(openvino).pop(name.removeprefix("openvino."), None)
    return openvino
