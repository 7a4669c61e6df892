"""A baseline JPEG with a scan for each component, as `jpegtran -scans` can write it; Pillow writes only one scan."""

import io

from PIL import Image

SCAN = b"\xff\xda"
END = b"\xff\xd9"


def head_and_scans(image: Image.Image) -> tuple[bytes, list[bytes]]:
    """Return the bytes before the first scan, and the scans of Y, Cb and Cr, of an RGB image in full resolution."""
    files = [_gray(plane) for plane in image.convert("YCbCr").split()]
    before, after = (files[0].index(marker) for marker in (b"\xff\xc0", b"\xff\xc4"))
    size = b"".join(length.to_bytes(2, "big") for length in reversed(image.size))
    frame = b"\xff\xc0\x00\x11\x08" + size + b"\x03" + b"".join(bytes((name, 0x11, 0)) for name in (1, 2, 3))
    head = files[0][:before] + frame + files[0][after : files[0].index(SCAN)]
    scans = [
        SCAN + b"\x00\x08\x01" + bytes((name, 0, 0, 63, 0)) + file[file.index(SCAN) + 10 :].removesuffix(END)
        for name, file in enumerate(files, 1)
    ]
    return head, scans


def _gray(plane: Image.Image) -> bytes:
    buffer = io.BytesIO()
    plane.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def damaged(image: Image.Image) -> dict[str, bytes]:
    """Return files of which a scan is missing, or half of one."""
    head, scans = head_and_scans(image)
    files = {"no Cr": scans[:2], "only Y": scans[:1]}
    for place, name in enumerate(("Y", "Cb", "Cr")):
        half = scans[place][: len(scans[place]) // 2].rstrip(b"\xff")
        files[f"half of {name}"] = [*scans[:place], half, *scans[place + 1 :]]
    return {name: head + b"".join(kept) + END for name, kept in files.items()}
