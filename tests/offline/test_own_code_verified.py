"""`python -m layer verify --extensions`: the bundle and code of a user's own, checked together without a network."""

from pathlib import Path

from layer.bundle.verify import verify

PRINTS = """
print("imported")

def preprocess_text(text, model):
    print({"text": text})
    return text

def preprocess_image(image, model):
    print("an image", flush=True)
    return image.rotate(90)
"""


def test_what_own_code_prints_is_no_part_of_the_report(demo_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "handler_ext").mkdir()
    (tmp_path / "handler_ext" / "__init__.py").write_text(PRINTS)

    [model] = verify(demo_bundle, tmp_path / "handler_ext")["models"]

    assert model["own_preprocessing"] == ["image", "text"]
    assert model["min_text_cosine_with_own_preprocessing"] > 0.999
    assert model["min_image_cosine_with_own_preprocessing"] < 0.999
