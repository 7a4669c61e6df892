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


TEMPLATES = {
    "template.yaml": "Resources:\n  F:\n    Environment:\n      Variables:\n        HF_HUB_OFFLINE: {}\n",
    "serverless.yml": "provider:\n  environment: # HF_HUB_OFFLINE: no\n    HF_HUB_OFFLINE: {}\n",
    "template.json": '{{"Variables": {{"HF_HUB_OFFLINE": {}}}}}\n',
    "function.tf": "environment {{\n  variables = {{ HF_HUB_OFFLINE = {} }}\n}}\n",
}


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_environment_of_a_projects_template_is_the_functions(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(TEMPLATES[name].format('"1"'))
    assert found(tmp_path, BASE) == []

    (tmp_path / name).write_text(TEMPLATES[name].format('"0"'))
    assert found(tmp_path, f"{BASE}ENV HF_HUB_OFFLINE=1") == ["offline-not-true"]  # Lambda's replaces the image's


IMPORTS_IN_TIME = {
    "in a function that is called later": (
        "import os\ndef load():\n    import open_clip\nos.environ['HF_HUB_OFFLINE'] = '1'\nload()\n"
    ),
    "for a checker of types": (
        "import os\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import open_clip\n"
        "os.environ['HF_HUB_OFFLINE'] = '1'\nimport open_clip\n"
    ),
    "after it, in one function": "import os\ndef f():\n    os.environ['HF_HUB_OFFLINE'] = '1'\n    import open_clip\n",
}
TOO_LATE = {
    "in one function": "import os\ndef f():\n    import open_clip\n    os.environ['HF_HUB_OFFLINE'] = '1'\n",
    "in a function, after the module's import": (
        "import open_clip, os\ndef f():\n    os.environ['HF_HUB_OFFLINE'] = '1'\n"
    ),
}


@pytest.mark.parametrize("where", IMPORTS_IN_TIME)
def test_an_import_that_runs_after_the_flag_is_in_time(tmp_path: Path, where: str) -> None:
    (tmp_path / "app.py").write_text(IMPORTS_IN_TIME[where])
    assert found(tmp_path, BASE) == []


@pytest.mark.parametrize("where", TOO_LATE)
def test_an_import_that_runs_before_the_flag_is_not(tmp_path: Path, where: str) -> None:
    (tmp_path / "app.py").write_text(TOO_LATE[where])
    assert "offline-set-too-late" in found(tmp_path, BASE)


@pytest.mark.parametrize("test", ["__name__ == '__main__'", '"__main__" == __name__'])
def test_what_a_module_does_as_a_script_is_not_done_in_lambda(tmp_path: Path, test: str) -> None:
    script = f"if {test}:\n    os.environ['HF_HUB_OFFLINE'] = '1'\n    import open_clip\n    Pool(4)\n"
    (tmp_path / "app.py").write_text(f"import os\nfrom multiprocessing import Pool\n{script}")
    assert found(tmp_path, BASE) == ["offline-unset"]

    (tmp_path / "app.py").write_text(f"import os\nos.environ['HF_HUB_OFFLINE'] = '1'\nimport open_clip\n{script}")
    assert found(tmp_path, BASE) == []


def test_code_that_switches_the_flag_off_is_not_taken_as_setting_it(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import os\nos.environ['HF_HUB_OFFLINE'] = '0'\nimport open_clip\n")
    assert found(tmp_path, BASE) == ["offline-unset"]


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.lambda"])
def test_a_dockerfile_that_is_named_itself_is_read_as_one(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(BROKEN["old-base-image"])

    [finding] = examine(str(tmp_path / name))
    assert (finding.code, finding.where) == ("old-base-image", str(tmp_path / name))


def test_a_module_that_is_named_itself_is_read_as_code(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import os\nimport open_clip\nos.environ['HF_HUB_OFFLINE'] = '1'\n")
    (tmp_path / "other.py").write_text("import json\n")

    [finding] = examine(str(tmp_path / "app.py"))
    assert (finding.code, finding.where) == ("offline-set-too-late", "app.py:3")
    assert [one.code for one in examine(str(tmp_path / "other.py"))] == ["nothing-known"]


def test_files_that_only_their_owner_may_read_count_where_they_are_packed(tmp_path: Path) -> None:
    for name in (".git/config", ".env", ".aws/credentials"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
        (tmp_path / name).chmod(0o600)
    assert found(tmp_path, SOUND["the rules of XDG"]) == []

    hidden = tmp_path / "hub" / "models--a--b" / ".no_exist" / "c" / "config.json"
    for path in (tmp_path / "app.py", hidden):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        path.chmod(0o600)
        assert "not-readable" in found(tmp_path, SOUND["the rules of XDG"])
        path.chmod(0o644)
