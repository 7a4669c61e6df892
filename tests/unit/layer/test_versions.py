"""Which library versions a build accepts, and what it says of the others."""

import pytest

from layer.errors import VersionError
from layer.versions import check_versions

GOOD = {"torch": "2.13.0+cpu", "open_clip_torch": "3.3.0", "transformers": "5.23.0"}


def test_what_is_installed_here_can_build() -> None:
    check_versions()


@pytest.mark.parametrize(
    ("name", "version"),
    [("torch", "2.1.0"), ("open_clip_torch", "2.26.1"), ("transformers", "4.45.0"), ("transformers", "4.57.4")],
)
def test_the_oldest_that_will_do_is_accepted(name: str, version: str) -> None:
    check_versions({**GOOD, name: version})


@pytest.mark.parametrize(
    ("name", "version", "says"),
    [
        ("torch", "2.0.1", r"torch 2\.0\.1 is too old: 2\.1 or later .* load_state_dict"),
        ("open_clip_torch", "2.26.0", r"open_clip_torch 2\.26\.0 is too old: 2\.26\.1 or later"),
        ("transformers", "4.44.2", r"transformers 4\.44\.2 is too old: 4\.45\.0 or later"),
        ("transformers", "4.57.3", r"transformers 4\.57\.3 cannot be used: .*100,000"),
        ("torch", None, r"torch is not installed: pip install -r requirements\.txt"),
    ],
)
def test_one_that_will_not_do_is_named_with_the_reason(name: str, version: str | None, says: str) -> None:
    with pytest.raises(VersionError, match=says):
        check_versions({**GOOD, name: version})
