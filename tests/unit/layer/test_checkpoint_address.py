"""A checkpoint of an address: who is asked for it, with which token, when, and what a refusal says."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from layer.errors import CheckpointError, FetchError, UnreachableError
from layer.network import transfer
from layer.sources import download, fetch, resolve
from layer.sources.prepared.places import Place
from layer.sources.prepared.search import Prepared
from layer.spec import ModelSpec
from tests.hub.odd import PAGE, Reply, about, forget, odd_hub, serving

PAIR = "ViT-B-32/laion2b_s34b_b79k"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    forget(monkeypatch)
    monkeypatch.setattr(transfer, "sleep", lambda _: None)


def private(_: str, headers: Mapping[str, str]) -> Reply:
    return Reply(body=b"weights") if headers.get("authorization") == "Bearer hf_secret" else Reply(401)


def test_one_of_a_private_repository_is_asked_for_with_the_token(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with serving(monkeypatch, private, "/mirror") as hub:
        fetch.download_url(f"{hub.url}/mirror/acme/own/resolve/main/w.pt", tmp_path / "w.pt", "")

    assert (tmp_path / "w.pt").read_bytes() == b"weights"


def test_a_public_one_is_fetched_though_the_token_has_expired(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The hub refuses whatever is asked with such a token, and says 401."""
    monkeypatch.setenv("HF_TOKEN", "hf_expired")
    with serving(
        monkeypatch, lambda _, headers: Reply(401) if "authorization" in headers else Reply(body=b"weights")
    ) as hub:
        fetch.download_url(f"{hub.url}/acme/own/resolve/main/w.pt", tmp_path / "w.pt", "")

    assert (tmp_path / "w.pt").read_bytes() == b"weights"


def test_a_private_one_is_refused_by_the_token_that_has_expired(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_expired")
    with (
        serving(monkeypatch, private) as hub,
        pytest.raises(FetchError, match="HF_TOKEN is not valid, or has expired; make a new one"),
    ):
        fetch.download_url(f"{hub.url}/acme/own/resolve/main/w.pt", tmp_path / "w.pt", "")

    assert ["authorization" in headers for _, headers in hub.asked] == [True, False]


@pytest.mark.parametrize("status", [200, 403])
def test_one_of_another_host_needs_no_address_of_the_hub(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, status: int
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "hub.example.com")  # without a scheme
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with odd_hub(lambda _path, _headers: Reply(status, b"weights")) as site:
        if status == 403:
            with pytest.raises(FetchError, match="the address has expired"):
                fetch.download_url(f"{site.url}/w.pt", tmp_path / "w.pt", "")
        else:
            fetch.download_url(f"{site.url}/w.pt", tmp_path / "w.pt", "")

    assert not [headers for _, headers in site.asked if "authorization" in headers]


def test_the_token_is_sent_to_no_other_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with serving(monkeypatch, private, "/mirror") as hub, odd_hub(private) as other:
        beside = hub.url.replace("127.0.0.1", "localhost") + "/mirror"  # a name of this machine that is not the hub's
        for url in (f"{other.url}/mirror/w.pt", f"{hub.url}/w.pt", f"{hub.url}/mirrors/w.pt", f"{beside}/w.pt"):
            with pytest.raises(FetchError, match="HF_TOKEN is sent to the hub alone: download the file, and write"):
                fetch.download_url(url, tmp_path / "w.pt", "")

    assert not [headers for _, headers in (*hub.asked, *other.asked) if "authorization" in headers]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Reply(403), "the address has expired"),
        (Reply(404), r"is not there: check the address \(HTTP 404\)"),
        (Reply(503), "was refused by its server: try again later"),
        (PAGE, "Name the address of the file itself, and not of a page about it"),
    ],
)
def test_a_refusal_outside_of_the_hub_does_not_speak_of_the_hub_s_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: Reply, says: str
) -> None:
    with (
        serving(monkeypatch, Reply(500)),
        odd_hub(lambda _path, _headers: answer) as site,
        pytest.raises(FetchError, match=says) as caught,
    ):
        fetch.download_url(f"{site.url}/w.pt", tmp_path / "w.pt", "")

    assert "HF_ENDPOINT" not in str(caught.value)


def test_the_page_of_a_file_on_the_hub_is_told_with_the_file_s_address(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with serving(monkeypatch, PAGE) as hub, pytest.raises(FetchError, match="one has /blob/, and the file /resolve/"):
        fetch.download_url(f"{hub.url}/acme/own/blob/main/w.pt", tmp_path / "w.pt", "")


def test_one_that_cannot_be_reached_is_told_beside_a_hub_that_can(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = ModelSpec("hf-hub:acme/own", checkpoint="http://127.0.0.1:9/w.pt", config=PAIR)
    prepared = Prepared([Place(tmp_path)])  # as of HF_HOME, which many machines set
    with serving(monkeypatch, about()) as hub, pytest.raises(UnreachableError, match=r"^http://127\.0\.0\.1:9/w\.pt "):
        download.gather([model], tmp_path / "cache", {}, prepared)

    assert hub.asked == [], "the hub has no repository of that name"


def test_a_config_that_is_not_there_is_told_before_gigabytes_are_fetched(tmp_path: Path) -> None:
    with odd_hub(lambda _path, _headers: Reply(body=b"weights")) as site:
        model = ModelSpec("hf-hub:acme/own", checkpoint=f"{site.url}/w.pt", config=str(tmp_path / "a.json"))
        with pytest.raises(CheckpointError, match=r"a\.json is not there"):
            download.gather([model], tmp_path / "cache", {})

    assert site.asked == []


@pytest.mark.parametrize(
    ("url", "sha256"),
    [
        (
            "https://github.com/mlfoundations/open_clip/releases/download/v0.2-weights/rn50-quickgelu-cc12m-f000538c.pt",
            8,
        ),
        (f"https://openaipublic.azureedge.net/clip/models/{'0a' * 32}/ViT-B-32.pt", 64),
        ("https://huggingface.co/mlfoundations/own/resolve/main/open_clip_pytorch_model.bin", 0),
        ("https://huggingface.co/mlfoundations/own/resolve/main/epoch-10.pt", 0),
        ("https://files.example/openaipublic/ViT-B-32.pt", 0),
    ],
)
def test_what_is_no_hash_in_an_address_is_not_compared_with_the_file(url: str, sha256: int) -> None:
    assert len(resolve.checksum(url)) == sha256
