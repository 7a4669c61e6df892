"""Images that the function decodes differently from open_clip on purpose are counted before anything is embedded."""

from pathlib import Path

import pytest
from PIL import Image

from layer.gate.settings import Evaluation
from layer.quality import evaluate
from tests.unit.handler.test_image_modes import bmp


def test_images_that_are_decoded_differently_on_purpose_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clear, opaque = (255, 0, 0, 0), (255, 0, 0, 255)
    palette = Image.new("P", (2, 2), 1)
    palette.putpalette([9, 9, 9, 255, 0, 0])
    made = {
        "opaque.png": Image.new("RGBA", (2, 2), opaque),
        "plain.png": Image.new("RGB", (2, 2)),
        "clear.png": Image.new("RGBA", (2, 2), clear),
        "clear.webp": Image.new("RGBA", (2, 2), clear),
        "gray16.png": Image.new("I;16", (2, 2), 40_000),
    }
    for name, image in made.items():
        image.save(tmp_path / name)
    palette.save(tmp_path / "palette.png", transparency=1)
    (tmp_path / "damaged.png").write_bytes((tmp_path / "clear.png").read_bytes()[:30])
    (tmp_path / "opaque.bmp").write_bytes(bmp(bytes(8)))
    (tmp_path / "clear.bmp").write_bytes(bmp(bytes(4) + b"\1\1\1\1"))
    palette.save(tmp_path / "whole.gif")
    gif = (tmp_path / "whole.gif").read_bytes()
    (tmp_path / "part.gif").write_bytes(gif[:6] + bytes([9, 0, 9, 0]) + gif[10:])  # of its screen of 9x9
    names = [*made, "palette.png", "damaged.png", "clear.bmp", "part.gif"]
    (tmp_path / "mine.csv").write_text("image,caption\n" + "".join(f"{name},{name}\n" for name in names))

    evaluate.data_of(Evaluation(pairs=tmp_path / "mine.csv"))
    told = capsys.readouterr().err
    (tmp_path / "mine.csv").write_text("image,caption\nopaque.png,one\nopaque.bmp,two\nwhole.gif,three\n")
    evaluate.data_of(Evaluation(pairs=tmp_path / "mine.csv"))

    assert "note: 6 of 9 images of mine.csv are transparent or gray of 16 bits" in told
    assert "note: " not in capsys.readouterr().err
