"""`GET /health`: what runs here, or why nothing does; with `deep=true`, a comparison with what was built."""

from typing import TYPE_CHECKING, Any

from handler.manifest import ModelEntry
from handler.messages import Response
from handler.models import Models
from handler.service import Service

if TYPE_CHECKING:
    from handler.extensions import Extension


def health(service: Service) -> Response:
    """Return what runs here, with 200, or why nothing does, with 503. Loads nothing."""
    report = _report(service)
    return Response(503 if report["reason"] else 200, report)


def deep_health(service: Service) -> Response:
    """Hash the bundle and compare the golden vectors; 503 if anything differs. As slow as loading every model."""
    from handler.golden import compare  # late: a request for embeddings needs none of it

    if service.models_or_none is None:
        return health(service)
    report = compare(service.models_or_none.manifest, service.models_or_none)
    reason = (
        None
        if report["ok"]
        else "this is not the bundle as it was built: see changed_files, missing_decoders and models"
    )
    status = {"status": "ok" if report["ok"] else "error", "reason": reason}
    plain = _report(service)
    models = [{**known, **compared} for known, compared in zip(plain["models"], report["models"], strict=True)]
    return Response(200 if report["ok"] else 503, {**plain, **report, **status, "models": models})


def _report(service: Service) -> dict[str, Any]:
    problem = service.problem
    report: dict[str, Any] = {"status": "error" if problem else "ok", "reason": problem}
    if service.models_or_none is not None:
        from handler.engines.host_kind import processor  # late: no other request asks for it

        entries = service.models_or_none.manifest.models
        report |= {
            "manifest_sha256": service.models_or_none.manifest.sha256,
            "engine": entries[0].engine,
            "models": [_model(service.models_or_none, entry) for entry in entries],
            "processor": processor(),
            "loaded": service.models_or_none.loaded_ids(),
            "cold_start_seconds": service.cold_start_seconds(),
        }
    if service.extension is not None:
        report["extension"] = _extension(service, service.extension)
    return report


def _model(models: Models, entry: ModelEntry) -> dict[str, Any]:
    named = {"id": entry.id, "engine": entry.engine, "precision": entry.precision}
    return {**named, "vectors_sha256": models.vectors_sha256(entry.id), **models.engine_facts(entry)}


def _extension(service: Service, extension: "Extension") -> dict[str, Any]:
    """Describe the deployment's own code. If it preprocesses, `vectors_sha256` differs from the manifest's."""
    from handler.extensions import describe  # late: most functions have no such code

    return {**describe(extension), "vectors_sha256": service.models.vectors_sha256()}
