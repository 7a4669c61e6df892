"""What manifest.json says of host blobs: towers that OpenVINO compiled for one kind of host."""

from dataclasses import dataclass


@dataclass(frozen=True)
class HostBlob:
    """A tower as OpenVINO compiled it, in `models/<slug>/openvino/<tower>.<processor>.blob`, and where it may be used.

    `processor` names the kind of host as the handler does, `openvino` is the whole version, `settings` are OpenVINO's.
    """

    tower: str
    processor: str
    openvino: str
    settings: dict[str, str]
