"""Subsegments for X-Ray: where the time of a sampled call went, told to Lambda's own daemon over UDP, without an SDK.

docs.aws.amazon.com: xray "Sending trace data to X-Ray", "AWS X-Ray segment documents".
"""

import json
import logging
import os
from collections.abc import Mapping

from handler.telemetry.invocation import Call

log = logging.getLogger(__name__)

HEADER = b'{"format": "json", "version": 1}\n'


def send(call: Call, environ: Mapping[str, str]) -> None:
    """Send a subsegment for each stage. Nothing is sent without a daemon, or for a call that is not sampled."""
    daemon, parts = environ.get("AWS_XRAY_DAEMON_ADDRESS"), _parts(environ.get("_X_AMZN_TRACE_ID", ""))
    if not daemon or not call.stages or parts.get("Sampled") != "1" or not {"Root", "Parent"} <= set(parts):
        return
    import socket  # late: most calls are not sampled

    try:
        host, port = _address(daemon)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for document in documents(call, parts["Root"], parts["Parent"]):
                sender.sendto(HEADER + document, (host, port))
    except (OSError, ValueError) as error:  # a trace that is lost costs nobody a response
        log.warning("no trace was sent to %s: %s", daemon, error)


def documents(call: Call, trace: str, parent: str) -> list[bytes]:
    """Describe each stage from its first second to its last; `busy_seconds` leaves out what lay between."""
    return [
        json.dumps(
            {
                "trace_id": trace,
                "parent_id": parent,
                "id": os.urandom(8).hex(),
                "type": "subsegment",
                "name": name,
                "start_time": stage.first,
                "end_time": stage.last,
                "annotations": {"model": call.model or "", "texts": call.texts, "pictures": call.images},
                "metadata": {"openclip": {"busy_seconds": round(stage.seconds, 6)}},
            }
        ).encode()
        for name, stage in call.stages.items()
    ]


def _parts(header: str) -> dict[str, str]:
    """Read `Root=...;Parent=...;Sampled=1`."""
    return dict(part.strip().partition("=")[::2] for part in header.split(";") if "=" in part)


def _address(daemon: str) -> tuple[str, int]:
    """Read `host:port`, or the longer `tcp:host:port udp:host:port`."""
    udp = [part.removeprefix("udp:") for part in daemon.split() if not part.startswith("tcp:")]
    host, _, port = udp[0].rpartition(":")
    return host, int(port)
