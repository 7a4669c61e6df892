"""Import libraries without what no request reaches.

OpenVINO without what only builds graphs, its operations in seventeen versions and its model converter. ftfy without the
widths of characters, 3 MB of tables that a package leaves out.
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
    """Return the module `ftfy`; its columns of text (`ftfy.formatting`) work only where it was imported before."""
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
    """Return the module `openvino`; whoever imports one of the modules left out afterwards gets the real one."""
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
