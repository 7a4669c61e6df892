"""Dockerfiles as people write them: what Docker makes of each line decides, and a sound one has nothing wrong."""

from pathlib import Path

import pytest

from layer.doctor.examine import examine

BASE = "FROM public.ecr.aws/lambda/python:3.13\n"
FETCH = "hf download acme/model --revision 0123abc"
# What each means is from Docker's own reference of the Dockerfile: "FROM", "ARG", "ENV", "Environment replacement".
SOUND = {
    "the last stage has the environment of the stage that it is built on": (
        f"{BASE.strip()} AS base\nENV HF_HUB_OFFLINE=1 HF_HOME=/opt/hf\nFROM scratch AS other\nFROM base\nCOPY app.py ."
    ),
    "quotes are taken away in the old form of ENV, too": f'{BASE}ENV HF_HUB_OFFLINE "1"',
    "a variable is put in": f"ARG OFF=1\n{BASE}ARG OFF\nENV A=$OFF\nENV HF_HUB_OFFLINE=${{A}}",
    "a variable that is not set has its default": f"{BASE}ENV HF_HUB_OFFLINE=${{OFF:-1}}",
    "the model goes where the command says: hf": f"{BASE}ENV HF_HUB_OFFLINE=1\nRUN {FETCH} --local-dir /opt/model",
    "the model goes where the command says: Python": (
        f"{BASE}ENV HF_HUB_OFFLINE=1 HF_HUB_CACHE=/opt/hub\n"
        "RUN python -c \"snapshot_download('a/b', revision='c', cache_dir='/opt/hub')\""
    ),
    "the RUN sets what the function has, too": (
        f"{BASE}RUN HF_HOME=/opt/hf {FETCH}\nENV HF_HUB_OFFLINE=1 HF_HOME=/opt/hf"
    ),
    "the cache's older variable": f"{BASE}ENV HUGGINGFACE_HUB_CACHE=/opt/hub HF_HUB_OFFLINE=1\nRUN {FETCH}",
    "the rules of XDG": f"{BASE}ENV XDG_CACHE_HOME=/tmp/xdg HF_HUB_OFFLINE=1\nRUN {FETCH}",
}
BROKEN = {
    "old-base-image": "ARG V=3.9\nFROM public.ecr.aws/lambda/python:${V}\nENV HF_HUB_OFFLINE=1",
    "cache-in-roots-home": f"{BASE}ENV HF_HUB_OFFLINE=1 HF_HOME=/root/hf\nRUN {FETCH}",
    "cache-elsewhere": f"{BASE}ENV HF_HUB_OFFLINE=1\nRUN HF_HOME=/opt/hf {FETCH}",
    "offline-unset": f"{BASE.strip()} AS base\nENV HF_HUB_OFFLINE=1\n{BASE}",
    "offline-not-true": f"ARG OFF=maybe\n{BASE}ARG OFF\nENV HF_HUB_OFFLINE=$OFF",
}


def found(folder: Path, dockerfile: str) -> list[str]:
    (folder / "Dockerfile").write_text(f"{dockerfile}\n")
    return [finding.code for finding in examine(str(folder))]


@pytest.mark.parametrize("rule", SOUND)
def test_a_sound_dockerfile_has_nothing_wrong(tmp_path: Path, rule: str) -> None:
    assert found(tmp_path, SOUND[rule]) == []


@pytest.mark.parametrize("code", BROKEN)
def test_what_docker_makes_of_a_line_is_what_is_judged(tmp_path: Path, code: str) -> None:
    assert found(tmp_path, BROKEN[code]) == [code]


def test_a_cache_in_roots_home_is_named_by_its_directory(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(f"{BROKEN['cache-in-roots-home']}\n")

    assert "/root/hf/hub" in examine(str(tmp_path))[0].detail


def test_variables_that_name_each_other_do_not_grow(tmp_path: Path) -> None:
    doubled = "".join(f"ENV A=$A{'$A' * 60}\n" for _ in range(2000))

    assert found(tmp_path, f"{BASE}ENV A={'x' * 200} HF_HUB_OFFLINE=1\n{doubled}") == []
