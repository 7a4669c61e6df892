"""Code of the user's own: what handler, builder and deployment each have to know of it."""

from pathlib import Path

from devserver.search import IMAGE_PATH
from handler.extensions import calls, digest, loading, reserved
from handler.http import routes
from handler.search.routes import table
from handler.search.settings import SearchSettings
from infra import package as infra_package
from layer.package import digest as layer_digest
from layer.package import extension
from tests.contracts.agreement import agree


def test_the_paths_that_are_ours() -> None:
    search = table(SearchSettings("none"), True).routes
    agree(
        "paths that no route of the user's own may have",
        {
            "handler/extensions/reserved.py": sorted(reserved.PATHS),
            "handler/http/routes.py, handler/search/routes.py, devserver/search.py": sorted(
                {*routes.ROUTES, *search, IMAGE_PATH}
            ),
        },
    )
    assert not [path for path in {*routes.ROUTES, *search} if path.startswith(reserved.FREE)]


def test_the_routes_that_an_extension_may_have() -> None:
    agree(
        "methods and paths of the user's own routes",
        {
            "handler/extensions/loading.py": (loading.METHODS, loading.PATH.pattern),
            "infra/package.py": (infra_package.METHODS, infra_package.OWN_PATH.pattern),
        },
    )


def test_the_name_and_the_digest(tmp_path: Path) -> None:
    root = tmp_path / "handler_ext"
    for name, content in (("a.py", "one"), ("b/c.py", "two"), ("b/ü.txt", "three"), ("__pycache__/a.pyc", "no")):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    agree(
        "the name of code of the user's own, and its digest",
        {
            "handler/extensions/loading.py": (loading.PACKAGE, digest.tree_sha256(str(root), loading.PACKAGE)),
            "handler/extensions/calls.py": (calls.PACKAGE, digest.tree_sha256(str(root), calls.PACKAGE)),
            "layer/package/extension.py": (extension.NAME, layer_digest.tree_sha256(root)),
            "infra/package.py": (infra_package.OWN, infra_package.tree_sha256(root, hidden=False, name="handler_ext")),
        },
    )
