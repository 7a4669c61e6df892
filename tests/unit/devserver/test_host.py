"""`--host`: addresses of IPv6 are served, too, and printed as a browser takes them."""

import http.client
import re
from pathlib import Path

from tests.unit.devserver.test_serve import SECONDS, ask, serving


def test_an_address_of_ipv6_is_served(tmp_path: Path) -> None:
    for process in serving(tmp_path, host="::1"):
        assert process.stdout
        line = process.stdout.readline()
        found = re.fullmatch(r"serving on http://\[::1\]:(\d+)\n", line)
        assert found, line
        assert ask(http.client.HTTPConnection("::1", int(found[1]), timeout=SECONDS), "GET", "/v1/models")[0] == 200
