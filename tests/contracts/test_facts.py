"""Facts that two packages must each hold, since neither may import the other. A changed copy fails here."""

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

from devserver import server
from handler import golden, manifest, offline
from handler.engines import ENGINES
from handler.errors import STATUS
from handler.http import cors, routes
from handler.schemas import limits
from handler.settings import DIALECTS, Settings
from handler.telemetry import metrics
from infra import api, environment, function, monitoring
from infra import package as infra_package
from infra.settings import Dialect, StackSettings
from layer import engines as layer_engines
from layer.bundle import blob_records, export_records, quality_records, records
from layer.bundle import manifest as layer_manifest
from layer.doctor.checks import environment as doctor
from layer.export import bounds as gate_bounds
from layer.naming import image_formats
from layer.package import EXTRAS, digest, pipeline, wheels
from layer.registry import lambda_limits
from layer.spec import CHOICES, Target
from tests import bounds
from tests.contracts.agreement import agree

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "layer" / "package" / "Dockerfile").read_text(encoding="utf-8")


def test_the_manifests_schema() -> None:
    agree(
        "the manifest's schema number",
        {"handler/manifest.py": manifest.SCHEMA, "layer/bundle/manifest.py": layer_manifest.SCHEMA},
    )


def test_the_manifests_published_schema() -> None:
    published = json.loads((ROOT / "docs" / "manifest.schema.json").read_text(encoding="utf-8"))
    number = published["properties"]["schema"]["const"]
    agree("the manifest's schema number", {"docs/manifest.schema.json": number, "handler/manifest.py": manifest.SCHEMA})
    read_by_handler: dict[Any, Any] = {
        manifest.ModelEntry: published["$defs"]["model"],
        manifest.Golden: published["$defs"]["model"]["properties"]["golden"],
        manifest.BundleFile: published["properties"]["files"]["items"],
    }
    for record, described in read_by_handler.items():
        read = set(record._fields)
        required = read - set(record._field_defaults)
        assert read <= set(described["properties"]), f"{record.__name__} reads what the schema does not describe"
        assert required <= set(described["required"]), f"{record.__name__} needs what the schema does not require"


def test_the_builders_records_and_the_published_schema() -> None:
    published = json.loads((ROOT / "docs" / "manifest.schema.json").read_text(encoding="utf-8"))
    model = published["$defs"]["model"]
    export = model["properties"]["export"]
    described = {
        records.Manifest: published,
        Target: published["properties"]["target"],
        records.BundleFile: published["properties"]["files"]["items"],
        records.ModelEntry: model,
        records.Source: model["properties"]["sources"]["items"],
        records.Preprocess: model["properties"]["preprocess"],
        records.Golden: model["properties"]["golden"],
        export_records.Export: export,
        export_records.TowerRecipe: published["$defs"]["tower"],
        export_records.GroupedGraph: published["$defs"]["tower"]["properties"]["grouped"],
        export_records.Parity: export["properties"]["parity"],
        export_records.Trial: export["properties"]["tried"]["items"],
        blob_records.HostBlob: model["properties"]["host_blobs"]["items"],
        quality_records.Certificate: model["properties"]["quality"]["items"],
        quality_records.Figure: model["properties"]["quality"]["items"]["properties"]["figures"]["items"],
    }
    for record, its in described.items():
        agree(
            f"the keys of {record.__name__}",
            {
                f"{record.__module__.replace('.', '/')}.py": sorted(field.name for field in fields(record)),
                "docs/manifest.schema.json": sorted(its["properties"]),
            },
        )
    every = {field.name for kind in records.Tokenizer.__subclasses__() for field in fields(kind)}
    agree(
        "the keys of a tokenizer",
        {
            "layer/bundle/records.py": sorted(every),
            "docs/manifest.schema.json": sorted(model["properties"]["tokenizer"]["properties"]),
        },
    )


def test_the_packages_schema() -> None:
    agree(
        "the schema number of package.json",
        {"infra/package.py": infra_package.SCHEMA, "layer/package/pipeline.py": pipeline.SCHEMA},
    )


def test_the_least_cosine_to_open_clip() -> None:
    agree(
        "the least cosine by precision",
        {
            "handler/golden.py": golden.MIN_COSINE,
            "layer/export/bounds.py": gate_bounds.MIN_COSINE,
            "tests/bounds.py": bounds.MIN_COSINE,
        },
    )


def test_the_offline_environment() -> None:
    wanted = offline.environment(Settings().cache_dir)
    written = environment.environment(StackSettings())
    in_image = dict(re.findall(r"^(?:ENV|   )\s*([A-Z_]+)=(\S+)", DOCKERFILE, re.MULTILINE))
    agree(
        "the offline environment",
        {
            "handler/offline.py": wanted,
            "infra/environment.py": {name: written.get(name) for name in wanted},
            "layer/package/Dockerfile": {name: in_image.get(name) for name in wanted},
        },
    )


def test_the_bundles_place() -> None:
    agree(
        "where the bundle lies in Lambda",
        {
            "handler/settings.py": str(Settings().bundle_dir),
            "infra/environment.py": environment.BUNDLE_DIR,
            "layer/package/Dockerfile": re.findall(r"^COPY bundle/ (\S+)/$", DOCKERFILE, re.MULTILINE)[0],
        },
    )


def test_the_dialects() -> None:
    answered = {name: tuple(sorted(paths)) for name, paths in routes.DIALECTS.items()}
    agree("dialects' routes", {"handler/http/routes.py": answered, "infra/api.py": api.DIALECTS})
    agree("dialects", {"handler/settings.py": DIALECTS, "infra/settings.py": get_args(Dialect)})


def test_the_cors_headers() -> None:
    deployed = api._cors(("https://example.org",))
    assert deployed is not None
    assert deployed.max_age is not None
    agree(
        "what another origin may send and read, and for how many seconds a browser keeps that",
        {
            "handler/http/cors.py": (cors.HEADERS.split(", "), cors.EXPOSED.split(", "), cors.MAX_AGE_SECONDS),
            "infra/api.py": (
                list(deployed.allow_headers or []),
                list(deployed.expose_headers or []),
                deployed.max_age.to_seconds(),
            ),
        },
    )


def test_the_package_shapes() -> None:
    agree(
        "package shapes",
        {
            "layer/spec.py": sorted(CHOICES["package"]),
            "layer/registry/lambda_limits.py": sorted(lambda_limits.SHAPES),
            "layer/package/pipeline.py": sorted(pipeline.ARTIFACTS),
            "infra/package.py": sorted(infra_package.ROLES),
            "infra/function.py": sorted(function.CODE),
        },
    )


def test_the_engines() -> None:
    requirements = (ROOT / "layer" / "package" / "requirements").glob("*.txt")
    others = {"common", wheels.TRANSFORMERS, *EXTRAS, *image_formats.requirements(image_formats.DECODERS)}
    agree(
        "engines",
        {
            "layer/engines.py": sorted(layer_engines.ENGINES),
            "handler/engines/__init__.py": sorted(ENGINES),
            "layer/package/requirements/": sorted({path.stem for path in requirements} - others),
        },
    )


def test_the_metrics_namespace() -> None:
    authorizer = (ROOT / "infra" / "functions" / "authorizer" / "index.py").read_text(encoding="utf-8")
    [in_authorizer] = re.findall(r'^NAMESPACE = "(\w+)"', authorizer, re.MULTILINE)
    agree(
        "the metrics' namespace",
        {
            "handler/telemetry/metrics.py": metrics.NAMESPACE,
            "infra/monitoring.py": monitoring.NAMESPACE,
            "infra/functions/authorizer/index.py": in_authorizer,
        },
    )


def test_what_of_the_handler_does_not_ship() -> None:
    agree(
        "what of handler/ does not ship",
        {"layer/package/pipeline.py": pipeline.NOT_SHIPPED, "infra/package.py": infra_package.NOT_SHIPPED},
    )


def test_the_digest_of_a_tree(tmp_path: Path) -> None:
    for name, content in (("a.py", "one"), ("b/c.py", "two"), ("b/ü.txt", "three"), ("__pycache__/a.pyc", "no")):
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    agree(
        "the digest of a tree",
        {
            "layer/package/digest.py": digest.tree_sha256(tmp_path / "tree"),
            "infra/package.py": infra_package.tree_sha256(tmp_path / "tree"),
        },
    )


def test_what_lambda_takes_and_gives_at_once() -> None:
    number, _ = StackSettings.model_json_schema()["properties"]["max_body_bytes"]["anyOf"]
    agree(
        "Lambda's synchronous payload limit, in bytes",
        {
            "handler/schemas/limits.py": limits.MAX_RESPONSE_BYTES,
            "infra/settings.py": number["maximum"],
            "devserver/server.py": server.MAX_EVENT_BYTES,
        },
    )


def test_the_codes_that_alarms_watch() -> None:
    watched = sorted(code for _, code, _ in (*monitoring.FAULTS, *monitoring.OWN_FAULTS))
    agree(
        "codes of faults of ours",
        {"infra/monitoring.py": watched, "handler/errors.py": sorted(set(watched) & set(STATUS))},
    )


def test_the_variables_of_what_writes_beside_the_models() -> None:
    wanted = set(offline.environment(Path("/tmp/openclip"))) - set(offline.OFFLINE_FLAGS)
    wanted -= {"HF_HOME", "HF_HUB_CACHE", "HOME"}  # the hub's own, which other findings are about
    agree(
        "variables of what writes beside the models",
        {"handler/offline.py": sorted(wanted), "layer/doctor/checks/environment.py": sorted(doctor.WRITERS)},
    )
