"""What SnapStart restores several times over: random numbers, too, unless each environment draws its own."""

import random
from pathlib import Path

import pytest

import handler.models
from handler.service import Service
from tests.unit.fake_bundle import Loader, write


@pytest.mark.parametrize(("initialization", "same"), [("snap-start", False), ("on-demand", True)])
def test_environments_of_one_snapshot_draw_different_random_numbers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, initialization: str, same: bool
) -> None:
    """boto3 waits by chance between its tries, and so do writers of an index that collide."""
    monkeypatch.setattr(handler.models.Models.__init__, "__defaults__", (Loader(), None))
    snapshot, drawn = random.getstate(), []
    for _ in range(2):
        random.setstate(snapshot)
        service = Service.start(
            {"OPENCLIP_BUNDLE_DIR": str(write(tmp_path)), "AWS_LAMBDA_INITIALIZATION_TYPE": initialization}
        )
        service.begin()
        drawn.append(random.getstate())
        service.begin()  # the first call alone begins anew
        assert random.getstate() == drawn[-1]
    assert (drawn[0] == drawn[1]) == same
