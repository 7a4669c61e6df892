"""Run a module with every socket refused, on systems without network namespaces: `python no_network.py -m <module>`."""

import runpy
import sys

_REFUSED = (
    "socket.connect",
    "socket.bind",
    "socket.sendto",
    "socket.sendmsg",
    "socket.getaddrinfo",
    "socket.gethostbyname",
)


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event in _REFUSED:
        asked = ", ".join(repr(argument) for argument in arguments if type(argument).__name__ != "socket")
        raise PermissionError(f"{event}({asked}) refused: this process has no network")


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in ("-m", "-c"):
        sys.exit("usage: python no_network.py -m <module> ... | -c <program> ...")
    sys.addaudithook(_refuse)
    if sys.argv[1] == "-c":
        code = sys.argv[2]
        sys.argv = ["-c", *sys.argv[3:]]
        exec(code, {"__name__": "__main__"})  # noqa: S102 - as `python -c` does
    else:
        sys.argv = sys.argv[2:]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
