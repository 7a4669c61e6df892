"""The hub's layout of a model that was trained here."""

from pathlib import Path
from tempfile import TemporaryDirectory

from layer.demo import snapshot


def test_what_was_made_in_a_temporary_directory_is_readable_by_everyone(tmp_path: Path) -> None:
    with TemporaryDirectory() as name:  # readable by its owner alone
        (Path(name) / "README.md").write_text("a model")
        made = snapshot.install(Path(name), "acme/shapes", tmp_path)

    assert made == snapshot.current("acme/shapes", tmp_path)
    assert (made / "README.md").read_text() == "a model"
    assert [oct(path.stat().st_mode & 0o005) for path in (made, made / "README.md")] == ["0o5", "0o4"]
