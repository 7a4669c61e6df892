"""What a changed copy of a fact looks like: the failure names both places."""

import pytest

from tests.contracts.agreement import agree


def test_a_changed_copy_fails_with_both_places_named() -> None:
    with pytest.raises(AssertionError) as failure:
        agree("the schema", {"handler/manifest.py": 3, "layer/bundle/manifest.py": 4})

    assert "handler/manifest.py" in str(failure.value)
    assert "layer/bundle/manifest.py" in str(failure.value)


def test_equal_copies_pass() -> None:
    agree("the schema", {"a": {1, 2}, "b": {2, 1}})
