"""What Pillow warns of must stay nowhere: not in the log, and not in memory, where Python keeps each text once."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MANY_SIZES = """
for side in range(10_000, 10_050):
    size = (40).to_bytes(4, "little") + side.to_bytes(4, "little") * 2
    yield b"BM" + bytes(12) + size + b"\\1\\0\\x18\\0" + bytes(24), "image_too_large"
"""
MANY_TAGS = """
for tag in range(50):  # each says that its value, of a million bytes, stands behind the end
    buffer = io.BytesIO()
    row = tag.to_bytes(2, "little") + b"\\1\\0" + (1_000_000).to_bytes(4, "little") + (99).to_bytes(4, "little")
    exif = b"Exif\\0\\0II*\\0" + (8).to_bytes(4, "little") + b"\\1\\0" + row + bytes(4)
    Image.new("RGB", (8, 8)).save(buffer, "JPEG", exif=exif)
    yield buffer.getvalue(), None
"""
WARNED = """
import io, sys, warnings
from PIL import Image
from handler.errors import ImageError
from handler.imaging.decode import decode

def images():
{images}

for data, expected in images():
    try:
        decode(data, 40_000_000)
        code = None
    except ImageError as error:
        code = error.code
    assert code == expected, code
kept = [vars(module).get("__warningregistry__", {{}}) for name, module in sys.modules.items() if name.startswith("PIL")]
print([key for one in kept for key in one if key != "version"])
"""


@pytest.mark.parametrize("images", [MANY_SIZES, MANY_TAGS], ids=["sizes", "tags"])
def test_images_with_many_irregularities_leave_no_warnings_in_memory_or_log(images: str) -> None:
    program = WARNED.format(images=textwrap.indent(images, "    "))
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert (run.stdout.strip(), run.stderr) == ("[]", "")
