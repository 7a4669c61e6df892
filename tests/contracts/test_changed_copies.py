"""Each contract, with one of its copies changed: it fails, and its message names the place of that copy and another."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from openclip_lambda import address, formats

from handler import golden, manifest, offline
from handler.http import cors, routes
from handler.imaging import decode, other_formats
from handler.telemetry import metrics
from infra import api, environment, monitoring
from infra import package as infra_package
from layer.bundle import export_records
from layer.bundle import manifest as layer_manifest
from layer.engines import ENGINES
from layer.export import bounds
from layer.package import digest, pipeline
from layer.registry import lambda_limits
from layer.spec import CHOICES
from tests.contracts import test_facts, test_formats, test_route_table, test_settings

HANDLER, LAYER = "handler/manifest.py", "layer/bundle/manifest.py"
BOUNDS = "layer/export/bounds.py"
SETTINGS, COLLECTIONS = "infra/settings.py", "docs/collections.md"
OF_BATCH = test_settings.test_the_settings_of_a_batch_are_all_in_the_document_of_collections_with_their_defaults


class Change(NamedTuple):
    """A contract, the copy that is changed for it, to what, and the two places that its failure has to name."""

    contract: Callable[..., None]
    where: Any
    name: str
    value: Any
    places: tuple[str, str]


def without_last(values: Any) -> Any:
    return dict(list(values.items())[:-1]) if isinstance(values, dict) else type(values)(list(values)[:-1])


FACTS = [
    Change(test_facts.test_the_manifests_schema, manifest, "SCHEMA", 99, (HANDLER, LAYER)),
    Change(test_facts.test_the_manifests_schema, layer_manifest, "SCHEMA", 99, (HANDLER, LAYER)),
    Change(
        test_facts.test_the_manifests_published_schema, manifest, "SCHEMA", 99, (HANDLER, "docs/manifest.schema.json")
    ),
    Change(
        test_facts.test_the_builders_records_and_the_published_schema,
        export_records,
        "Parity",
        export_records.TowerFacts,
        ("layer/bundle/export_records.py", "docs/manifest.schema.json"),
    ),
    Change(
        test_facts.test_the_packages_schema, pipeline, "SCHEMA", 99, ("infra/package.py", "layer/package/pipeline.py")
    ),
    Change(test_facts.test_the_least_cosine_to_open_clip, golden, "MIN_COSINE", {}, ("handler/golden.py", BOUNDS)),
    Change(test_facts.test_the_least_cosine_to_open_clip, bounds, "MIN_COSINE", {}, ("handler/golden.py", BOUNDS)),
    Change(
        test_facts.test_the_offline_environment,
        offline,
        "OFFLINE_FLAGS",
        ("NEW_OFFLINE",),
        ("handler/offline.py", "infra/environment.py"),
    ),
    Change(
        test_facts.test_the_offline_environment,
        environment,
        "CACHE_DIR",
        "/tmp/other",
        ("infra/environment.py", "layer/package/Dockerfile"),
    ),
    Change(
        test_facts.test_the_offline_environment,
        test_facts,
        "DOCKERFILE",
        test_facts.DOCKERFILE.replace("HF_HUB_OFFLINE=1", "HF_HUB_OFFLINE=0"),
        ("handler/offline.py", "layer/package/Dockerfile"),
    ),
    Change(
        test_facts.test_the_bundles_place,
        environment,
        "BUNDLE_DIR",
        "/opt/other",
        ("infra/environment.py", "handler/settings.py"),
    ),
    Change(test_facts.test_the_cors_headers, cors, "HEADERS", "x-other", ("handler/http/cors.py", "infra/api.py")),
    Change(test_facts.test_the_cors_headers, cors, "MAX_AGE_SECONDS", 1, ("handler/http/cors.py", "infra/api.py")),
    Change(
        test_facts.test_the_package_shapes,
        lambda_limits,
        "SHAPES",
        without_last(lambda_limits.SHAPES),
        ("layer/registry/lambda_limits.py", "infra/package.py"),
    ),
    Change(
        test_facts.test_the_package_shapes,
        infra_package,
        "ROLES",
        without_last(infra_package.ROLES),
        ("layer/spec.py", "infra/package.py"),
    ),
    *(
        Change(
            test_facts.test_the_metrics_namespace,
            where,
            "NAMESPACE",
            "Other",
            ("handler/telemetry/metrics.py", "infra/monitoring.py"),
        )
        for where in (metrics, monitoring)
    ),
    *(
        Change(
            test_facts.test_the_digest_of_a_tree,
            where,
            "tree_sha256",
            lambda _: "0" * 64,
            ("layer/package/digest.py", "infra/package.py"),
        )
        for where in (digest, infra_package)
    ),
]
TABLES = [
    Change(
        test_route_table.test_the_routes_of_the_gateway,
        api,
        "ROUTES",
        without_last(api.ROUTES),
        ("handler/http/routes.py", "infra/api.py"),
    ),
    Change(
        test_route_table.test_the_routes_that_ask_for_no_credential,
        api,
        "PAGES",
        ("/", "/health"),
        ("infra/api.py", "handler/http/routes.py"),
    ),
    Change(
        test_route_table.test_the_routes_that_ask_for_no_credential,
        routes,
        "PAGES",
        ("/",),
        ("handler/http/routes.py", "infra/api.py"),
    ),
    Change(
        test_route_table.test_the_endings_that_the_client_takes_off_an_address,
        address,
        "ENDINGS",
        without_last(address.ENDINGS),
        ("handler/http/routes.py", "client/src/openclip_lambda/address.py"),
    ),
    Change(
        test_formats.test_the_names_and_suffixes,
        formats,
        "SUFFIXES",
        {**formats.SUFFIXES, ".tif": "TIFF"},
        (test_formats.SERVER, test_formats.CLIENT),
    ),
    Change(test_formats.test_the_first_bytes, formats, "TAKEN", (b"BM",), (test_formats.SERVER, test_formats.CLIENT)),
    Change(
        test_formats.test_the_first_bytes_of_other_formats,
        other_formats,
        "SIGNATURES",
        without_last(other_formats.SIGNATURES),
        (test_formats.OTHERS, test_formats.CLIENT),
    ),
    Change(
        test_formats.test_the_brands_of_heif_avif_and_other_media_files,
        formats,
        "BRANDS",
        without_last(formats.BRANDS),
        (test_formats.OTHERS, test_formats.CLIENT),
    ),
    Change(
        test_formats.test_the_media_types,
        test_formats,
        "text",
        lambda _: 'const taken = new Set(["image/png", "image/tiff"]);',
        (test_formats.SERVER, test_formats.PLAYGROUND),
    ),
    Change(
        test_formats.test_the_names_in_the_documents,
        test_formats,
        "text",
        lambda _: "PNG and TIFF are accepted. The first bytes",
        (test_formats.SERVER, "docs/api.md"),
    ),
    Change(
        test_settings.test_the_readme_describes_every_setting_as_it_is_declared,
        test_settings,
        "rows",
        lambda *_: [["`OPENCLIP_MAX_ITEMS`", "9", "items"]],
        ("handler/settings.py", "README.md"),
    ),
    Change(
        test_settings.test_every_setting_of_the_handler_can_be_deployed_by_its_name,
        test_settings,
        "DEPLOYED",
        [*test_settings.DEPLOYED, "new"],
        ("handler/settings.py", "infra/settings.py"),
    ),
    Change(
        test_settings.test_the_deployments_settings_are_all_in_its_document_with_their_defaults,
        test_settings,
        "rows",
        lambda *_: [["`memory`", "3008", "MB"]],
        ("infra/settings.py", "docs/deploy.md"),
    ),
    Change(OF_BATCH, test_settings, "rows", lambda *_: [["`batch_memory`", "1", "MB"]], (SETTINGS, COLLECTIONS)),
]


@pytest.mark.parametrize("change", [*FACTS, *TABLES], ids=lambda change: f"{change.contract.__name__}-{change.name}")
def test_a_changed_copy_fails_and_both_places_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, change: Change
) -> None:
    given = (tmp_path,) if change.contract is test_facts.test_the_digest_of_a_tree else ()
    change.contract(*given)
    monkeypatch.setattr(change.where, change.name, change.value)

    with pytest.raises(AssertionError) as failure:
        change.contract(*given)

    for place in change.places:
        assert place in str(failure.value)


def test_an_engine_or_a_shape_that_one_package_alone_knows_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "new", ENGINES["onnx"])
    with pytest.raises(AssertionError, match=r"handler/engines/__init__\.py"):
        test_facts.test_the_engines()

    monkeypatch.setitem(CHOICES, "package", (*CHOICES["package"], "zip"))
    with pytest.raises(AssertionError, match=r"infra/package\.py"):
        test_facts.test_the_package_shapes()


def test_a_format_that_the_handler_alone_takes_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(decode.FORMATS, "TIFF", decode.Format("image/tiff", (".tif",), (b"II*\0",)))
    with pytest.raises(AssertionError) as failure:
        test_formats.test_the_names_and_suffixes()

    assert test_formats.SERVER in str(failure.value)
    assert test_formats.CLIENT in str(failure.value)
