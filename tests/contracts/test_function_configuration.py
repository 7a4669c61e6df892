"""package.json says how its function is configured. The Dockerfile and CDK's stack say it too: all three agree."""

import re
from pathlib import Path

from handler import offline
from infra.environment import environment
from infra.function import HANDLER
from infra.settings import StackSettings
from layer.package import function, image
from layer.package.pipeline import ZIPS
from layer.spec import Target

DOCKERFILE = image.TEMPLATE.read_text(encoding="utf-8")


def test_the_environment_is_the_stacks() -> None:
    assert environment(StackSettings()) == function.ENVIRONMENT


def test_the_environment_is_the_images_but_for_where_things_are() -> None:
    of_image = dict(re.findall(r"^(?:ENV|   ) (\w+)=(\S+)", DOCKERFILE, re.MULTILINE))
    ours = {name: value for name, value in function.ENVIRONMENT.items() if not name.startswith("OPENCLIP_")}
    assert {name: value for name, value in of_image.items() if name != "PYTHONPATH"} == ours
    assert offline.environment(Path(function.CACHE_DIR)).items() <= function.ENVIRONMENT.items()


def test_the_entry_point_and_the_order_of_layers_are_the_stacks() -> None:
    layers = [path for role, path, _, _ in ZIPS if role != "function"]
    told = function.configuration(Target("3.13", "arm64", "layer"), layers)
    assert told["handler"] == HANDLER
    assert (told["runtime"], told["architecture"]) == ("python3.13", "arm64")
    assert told["layers"] == ["layer.zip", "layer-deps.zip"]
    assert function.configuration(Target("3.12", "x86_64", "image"), layers)["layers"] == []
