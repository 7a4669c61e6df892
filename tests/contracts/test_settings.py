"""The handler's settings are declared once. The deployment, the README and docs/deploy.md are held to it, by name."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from handler.errors import SettingsError as HandlerSettingsError
from handler.search.settings import SearchSettings
from handler.settings import Settings, declared, default_of, variable
from infra.environment import environment
from infra.errors import SettingsError
from infra.settings import DIRECT_SECONDS, GATEWAY_SECONDS, IMAGE_PIXELS, REQUEST_PIXELS, StackSettings
from tests.contracts.agreement import agree

ROOT = Path(__file__).parents[2]
DECLARED = Settings._field_defaults
NOT_DEPLOYED = {  # and why
    "bundle_dir": "the package has one place",
    "cache_dir": "Lambda has one writable place",
    "cors_origins": "the gateway does it, by a setting of the same name",
    "base_path": "the gateway names its route",
    "search": "it comes with the index that is deployed",
    "extensions": "the package has one place",
}
DEPLOYED = [name for name in DECLARED if name not in NOT_DEPLOYED]
# Values as they are written behind -c, each another than the default, and what the handler makes of it.
GIVEN: dict[str, tuple[str, Any]] = {
    "cache_mode": ("copy", "copy"),
    "max_body_bytes": ("1000", 1000),
    "max_items": ("64", 64),
    "max_image_pixels": ("1000000", 1_000_000),
    "max_request_pixels": ("500000000", 500_000_000),
    "allowed_buckets": ("images, more.images", ("images", "more.images")),
    "max_object_bytes": ("2000", 2000),
    "threads": ("2", 2),
    "model_memory_mb": ("1500", 1500),
    "pages": ("false", False),
    "jpeg_decoding": ("full", "full"),
    "dialects": ("cohere, tei", ("cohere", "tei")),
    "exif_orientation": ("true", True),
}
# What no setting of a type can mean.
SENSELESS = {int: ("0", "-1", "1.5", "many", "6MB"), bool: ("perhaps", "2"), str: ("symlink",)}


def rows(document: str, heading: str) -> Iterator[list[str]]:
    """Return the cells of the table below a heading, without its head."""
    section = (ROOT / document).read_text(encoding="utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("|")]
    yield from ([cell.strip() for cell in line.strip("|").split(" | ")] for line in table[2:])


def shown(name: str) -> str:
    """Return a default as the README shows it: what is typed, in backticks."""
    number = isinstance(DECLARED[name], int) and not isinstance(DECLARED[name], bool)
    return default_of(name) if number or declared(name).shown else f"`{default_of(name)}`"


def test_the_readme_describes_every_setting_as_it_is_declared() -> None:
    documented = [(row[0].strip("`"), row[1], row[2]) for row in rows("README.md", "Settings of the function")]
    agree(
        "the settings of the function: variable, default, meaning",
        {
            "handler/settings.py": [(variable(name), shown(name), declared(name).about) for name in DECLARED],
            "README.md": documented,
        },
    )


def test_every_setting_of_the_handler_can_be_deployed_by_its_name() -> None:
    agree(
        "settings of the handler that a deployment can set",
        {
            "handler/settings.py": sorted(DEPLOYED),
            "infra/settings.py": sorted(set(DECLARED) & set(StackSettings.model_fields) - set(NOT_DEPLOYED)),
        },
    )


@pytest.mark.parametrize("name", DEPLOYED)
def test_a_value_behind_c_reaches_the_handler(name: str) -> None:
    written, meant = GIVEN[name]
    variables = environment(StackSettings.from_context({name: written}))
    agree(
        f"what -c {name}={written} sets",
        {
            "infra/environment.py": {variable(name): getattr(Settings.from_env(variables), name)},
            "handler/settings.py": {variable(name): meant},
        },
    )
    assert Settings.from_env(environment(StackSettings())) == Settings()


def test_the_playground_is_told_of_a_search_that_is_deployed() -> None:
    searching = StackSettings.from_context({"batch_source": "photos", "search": "lance"})
    assert Settings.from_env(environment(searching)).search
    assert not Settings.from_env(environment(StackSettings.from_context({"batch_source": "photos"}))).search


REFUSED = [(name, value) for name in DEPLOYED for value in SENSELESS.get(type(DECLARED[name]), ())]


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_what_the_handler_would_refuse_stops_the_synth(name: str, value: str) -> None:
    with pytest.raises(HandlerSettingsError, match=re.escape(f"{variable(name)} is {value!r}")):
        Settings.from_env({variable(name): value})
    with pytest.raises(SettingsError, match=re.escape(f"{name}={value}: ")):
        StackSettings.from_context({name: value})


def test_a_deployment_knows_the_handler_s_limits_of_pixels() -> None:
    agree(
        "the default pixels of one image, and of all images of a request",
        {
            "handler/settings.py": {"image": Settings().max_image_pixels, "request": Settings().max_request_pixels},
            "infra/settings.py": {"image": IMAGE_PIXELS, "request": REQUEST_PIXELS},
        },
    )


@pytest.mark.parametrize(
    "given",
    [
        {"max_image_pixels": "9", "max_request_pixels": "8"},
        {"max_image_pixels": str(REQUEST_PIXELS + 1)},
        {"max_request_pixels": str(IMAGE_PIXELS - 1)},
        {"allowed_buckets": "photos,s3://more"},
        {"allowed_buckets": "arn:aws:s3:::photos"},
        {"allowed_buckets": "photos/2026"},
        {"allowed_buckets": "*"},
    ],
    ids=str,
)
def test_the_handler_and_a_deployment_refuse_the_same(given: dict[str, str]) -> None:
    with pytest.raises(HandlerSettingsError):
        Settings.from_env({variable(name): value for name, value in given.items()})
    with pytest.raises(SettingsError):
        StackSettings.from_context(given)


# Of RFC 6454, "ASCII serialization of an origin", and what people write for one.
@pytest.mark.parametrize(
    ("origin", "taken"),
    [
        ("https://app.example", True),
        ("http://localhost:3000", True),
        ("https://app.example:8443", True),
        ("https://xn--mnchen-3ya.example", True),
        ("*", True),
        ("https://app.example/", False),
        ("https://app.example/shop", False),
        ("https://App.example", False),
        ("https://münchen.example", False),
        ("https://app.example:443", False),
        ("http://app.example:80", False),
        ("https://*.example", False),
        ("app.example", False),
        ("//app.example", False),
        ("https://", False),
    ],
)
def test_an_origin_that_no_browser_sends_is_refused_by_both(origin: str, taken: bool) -> None:
    if taken:
        assert Settings.from_env({variable("cors_origins"): origin}).cors_origins == (origin,)
        assert StackSettings.from_context({"cors_origins": origin}).cors_origins == (origin,)
        return
    with pytest.raises(HandlerSettingsError, match=re.escape(f"{variable('cors_origins')} has {origin!r}")):
        Settings.from_env({variable("cors_origins"): origin})
    with pytest.raises(SettingsError):
        StackSettings.from_context({"cors_origins": origin})


def documented(document: str, heading: str) -> dict[str, str]:
    """Return the default of each setting in the table below a heading; a row may have several of them."""
    found: dict[str, str] = {}
    for named, defaults, _ in rows(document, heading):
        names = re.findall(r"`(\w+)`", named)
        values = defaults.split(", ") if len(defaults.split(", ")) == len(names) else [defaults] * len(names)
        found |= dict(zip(names, (value.strip("`") for value in values), strict=True))
    return found


def agree_on_defaults(document: str, found: dict[str, str], names: list[str]) -> None:
    """Compare a document's settings with `names` of the deployment's; None is said in words: "none", "as `memory`"."""
    agree(
        f"names of the deployment's settings in {document}",
        {"infra/settings.py": sorted(names), document: sorted(found)},
    )
    fields_ = StackSettings.model_fields
    written = {name: _written(fields_[name].default) for name in names if fields_[name].default is not None}
    agree(
        f"defaults of the deployment's settings in {document}",
        {"infra/settings.py": written, document: {name: found[name] for name in written}},
    )


def test_the_deployments_settings_are_all_in_its_document_with_their_defaults() -> None:
    agree_on_defaults("docs/deploy.md", documented("docs/deploy.md", "Settings"), list(StackSettings.model_fields))


def test_the_settings_of_a_batch_are_all_in_the_document_of_collections_with_their_defaults() -> None:
    of_batch = [name for name in StackSettings.model_fields if name.startswith("batch_")]
    agree_on_defaults("docs/collections.md", documented("docs/collections.md", "A bucket on AWS"), of_batch)


def test_a_default_that_another_module_has_is_told_as_it_is_there() -> None:
    """The setting's own is None: what holds then stands in the document all the same."""
    found = documented("docs/deploy.md", "Settings")
    agree(
        "seconds that hold where no setting says otherwise",
        {
            "handler/search/settings.py": str(SearchSettings._field_defaults["url_seconds"]),
            "docs/deploy.md": found["search_url_seconds"],
        },
    )
    agree(
        "seconds of an invocation",
        {
            "infra/settings.py": f"{GATEWAY_SECONDS}; {DIRECT_SECONDS} with `direct_invokes",
            "docs/deploy.md": found["timeout"],
        },
    )


def _written(default: Any) -> str:
    if default == ():
        return "none"
    return str(default).lower() if isinstance(default, bool) else str(default)


def test_the_log_level_is_lambdas_own_setting() -> None:
    assert StackSettings.from_context({"log_level": "DEBUG"}).log_level == "DEBUG"
    with pytest.raises(SettingsError, match="log_level=LOUD: "):
        StackSettings.from_context({"log_level": "LOUD"})
