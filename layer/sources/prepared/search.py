"""Find the repositories of models in prepared sources: for each, the first copy that has all needed files, complete."""

import os
import shlex
import shutil
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from layer.files.link import point_to
from layer.findings.finding import Finding
from layer.findings.printable import printable
from layer.network import environment
from layer.sources.fetch import Located, repo_folder
from layer.sources.lock import LockedSource
from layer.sources.prepared import check_copy
from layer.sources.prepared.places import Place
from layer.sources.prepared.survey import Copy, survey
from layer.sources.resolve import Need, candidates, parts, satisfies
from layer.spec import ModelSpec

MAX_PATH = 4096  # characters of a path that is printed: Linux takes no longer one
MAX_CLOSED = 5  # directories that are named because they cannot be entered
Found = tuple[Located | None, list[Finding]]


class _Key(NamedTuple):
    """What was looked for; `pin` is the commit of models.lock."""

    need: Need
    asked: str | None
    pin: str | None
    model: str


class Prepared:
    """The sources of a build, in the order in which they are searched. Nothing in them is ever changed."""

    def __init__(
        self,
        places: Sequence[Place] = (),
        own: Mapping[str, Place] | None = None,
        alone: bool = False,
        spec: Path | None = None,
        texts_of: Callable[[str], Sequence[str]] = lambda _: (),
        scratch: Path | None = None,
    ) -> None:
        """`own` are the places of single models, by id, searched first. `alone` means that there is only one model.

        `spec` is the models.toml, for the commands in error messages; None is the default one. `texts_of` returns the
        repositories of the text side for one of weights, and is used if the config, which names them, is missing.
        `scratch` is for links to the files of a repository whose parts are in two sources.
        """
        self.places, self.own, self.alone, self.spec = tuple(places), own or {}, alone, spec
        self.texts_of, self.scratch = texts_of, scratch
        self._surveys: dict[Place, list[Copy]] = {}
        self._closed: dict[Path, str] = {}  # directories that cannot be entered, each with the reason
        self._known: dict[_Key, Found] = {}
        self._knowing = threading.RLock()

    def __bool__(self) -> bool:
        return bool(self.places or self.own)

    def find(self, need: Need, asked: str | None, pin: LockedSource | None, model: ModelSpec) -> Located | None:
        """Return the repository, at its pin if it has one; None if no source has all of it."""
        return self._search(need, asked, pin, model)[0]

    def findings(self, need: Need, asked: str | None, pin: LockedSource | None, model: ModelSpec) -> list[Finding]:
        """Say why no source has the repository."""
        return self._search(need, asked, pin, model)[1]

    def stated(self, need: Need, asked: str | None, model: ModelSpec) -> tuple[str | None, str | None] | None:
        """Return the commit and the license that a repository states here; None where no source has it."""
        for copy in self._copies(need, model):
            with suppress(check_copy.LackingError):
                return check_copy.stated(copy, need.repo, asked)
        return None

    def license(self, repo: str) -> str | None:
        """Return the license that a copy of a repository states, None where none does."""
        copies = (copy for place in self.places for copy in self._survey(place) if copy.is_of(repo))
        for copy in copies:
            with suppress(check_copy.LackingError):
                if found := check_copy.stated(copy, repo, None)[1]:
                    return found
        return None

    def peek(self, repo: str, name: str, model: ModelSpec) -> Path | None:
        """Return a file of any snapshot of a repository, complete or not, to find out what else will be missing."""
        for copy in self._order_of(repo, model):
            for path in (copy.folder / name, *sorted(copy.folder.glob(f"snapshots/*/{name}"))):
                if os.path.isfile(path):  # noqa: PTH113 - Path's raises where a directory may not be entered
                    return path
        return None

    def _order_of(self, repo: str, model: ModelSpec) -> list[Copy]:
        return [copy for place in self._order(model) for copy in self._survey(place) if copy.is_of(repo)]

    def tell(self, taken: Iterable[Located]) -> None:
        """Print which of the repositories come from prepared sources, and which of their hashes were checked."""
        mine = {id(found) for found, _ in self._known.values()}
        for one in {one.folder: one for one in taken if id(one) in mine}.values():
            told = f"{', '.join(one.as_found)} as found" if one.as_found else "all hashes checked"
            place = printable(str(one.folder), MAX_PATH)
            print(f"from {place}: {one.need.repo} at {one.revision[:12]}, {told}", file=sys.stderr)
            if one.unshown:
                asked = f"{one.asked} of {one.need.repo}"
                print(f"note: nothing in {place} says that it is {asked}, and it is taken for it", file=sys.stderr)
        for variable in self._unasked() if environment.offline() is None else ():
            print(
                f"note: {variable} has these commits, and no newer ones were looked for: --update asks the hub",
                file=sys.stderr,
            )

    def _unasked(self) -> list[str]:
        """Return the environment's variables whose caches decided the commit of a repository without a pin."""
        unpinned = [found.folder for key, (found, _) in self._known.items() if found and key.pin is None]
        by_variable = [place for place in self.places if place.variable]
        inside = [place for folder in unpinned for place in by_variable if folder.is_relative_to(place.path)]
        return list(dict.fromkeys(str(place.variable) for place in inside))

    def looked_in(self) -> list[Path]:
        """Return the directories that are searched."""
        return list(dict.fromkeys(place.path for place in (*self.own.values(), *self.places)))

    def _search(self, need: Need, asked: str | None, pin: LockedSource | None, model: ModelSpec) -> Found:
        key = _Key(need, asked, pin.revision if pin else None, model.id)
        with self._knowing:  # one after another: their work is reading, and a disk does that best in one piece
            if key not in self._known:
                self._known[key] = self._look(need, asked, pin, model)
            return self._known[key]

    def _look(self, need: Need, asked: str | None, pin: LockedSource | None, model: ModelSpec) -> Found:
        lacking: list[Finding] = []
        for copy in dict.fromkeys(self._copies(need, model)):
            try:
                found = check_copy.located(copy, need, asked, pin)
            except check_copy.LackingError as error:
                lacking += error.findings
                continue
            return found, []
        if lacking and (joined := self._joined(need, asked, pin, model)):
            return joined, []
        return None, list(dict.fromkeys(lacking)) or list(self._nowhere(need, model))

    def _joined(self, need: Need, asked: str | None, pin: LockedSource | None, model: ModelSpec) -> Located | None:
        """Join a repository whose parts are in two sources, as when only one of open_clip's calls got `cache_dir`."""
        wanted = parts(need)
        found = [self._search(part, asked, pin, model)[0] for part in wanted] if len(wanted) > 1 else []
        whole = [one for one in found if one]
        if self.scratch is None or not whole or len(whole) < len(wanted) or len({one.revision for one in whole}) > 1:
            return None
        # By roles too: another model may need other parts of the same commit.
        folder = self.scratch / repo_folder(need.repo) / "-".join([whole[0].revision, *sorted(need.roles)])
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        expected = {name: want for one in whole for name, want in one.expected.items()}
        for one in whole:
            for name in one.expected.keys() - {path.name for path in folder.iterdir()}:
                point_to(one.folder / name, folder / name)
        as_found = tuple(name for one in whole for name in one.as_found)
        unshown = any(one.unshown for one in whole)
        return Located(need, asked, whole[0].revision, whole[0].license, folder, expected, as_found, unshown)

    def _copies(self, need: Need, model: ModelSpec) -> Iterator[Copy]:
        """Yield what may be the repository: first by its whole id, then by a folder's name, then by exclusion."""
        names = [need.repo.rpartition("/")[2]]
        of_weights = bool({"weights", "config"} & set(need.roles))
        if of_weights:
            names += [model.slug, model.name, f"{model.name}-{model.pretrained}", f"{model.name}_{model.pretrained}"]
        for group, alone in ((self._own(model), True), (self.places, self.alone)):
            copies = [copy for place in group for copy in self._survey(place)]
            yield from (copy for copy in copies if copy.is_of(need.repo))
            yield from (copy for copy in copies if not copy.cache and copy.may_be(names))
            yield from (copy for copy in copies if copy.nameless and copy.repo is None and of_weights and alone)

    def _order(self, model: ModelSpec) -> list[Place]:
        return [*self._own(model), *self.places]

    def _own(self, model: ModelSpec) -> list[Place]:
        return [self.own[model.id]] if model.id in self.own else []

    def _survey(self, place: Place) -> list[Copy]:
        if place not in self._surveys:
            self._surveys[place] = survey(place, self._closed)
        return self._surveys[place]

    def _nowhere(self, need: Need, model: ModelSpec) -> Iterator[Finding]:
        """Yield why no source has a repository: it has another id there, or is in a closed directory, or is missing."""
        last = need.repo.rpartition("/")[2].casefold()
        for copy in (copy for place in self._order(model) for copy in self._survey(place)):
            if copy.repo and copy.repo.rpartition("/")[2].casefold() == last:
                asked = f"{model.id} takes {need.repo}"
                fix = f": name the directory {repo_folder(need.repo)}" if copy.cache else ""
                yield Finding("other-repository-id", str(copy.folder), asked + fix)
                return
        yield from (Finding("unreadable", str(path), reason) for path, reason in [*self._closed.items()][:MAX_CLOSED])
        roles = ", ".join(role.replace("_", " ") for role in need.roles)
        told = f"{model.id} takes its {roles} from {need.repo}, which is in no source"
        offer = self._unnamed(need, model)
        if need.weights:
            yield Finding("weights-missing", need.repo, told, offer)
        elif "config" in need.roles:
            yield Finding("config-missing", need.repo, told, offer)
        else:
            yield Finding("second-repository-missing", need.repo, told, offer)

    def _unnamed(self, need: Need, model: ModelSpec) -> str:
        """Name a folder that has such files and whose path is another's: `hf download --local-dir` takes any name."""
        for copy in (copy for place in self._order(model) for copy in self._survey(place)):
            if copy.repo is None and not copy.cache and _has_all(copy.folder, need):
                told = shlex.quote(f"{need.repo}={copy.folder}")
                return f"; a folder has such files: if they are its, add --from {told}"
        return ""


def _has_all(folder: Path, need: Need) -> bool:
    """Tell whether a folder has files, by their names, for all that is needed of a repository."""
    there = {
        role: [one for one in names if os.path.isfile(folder / one)]  # noqa: PTH113 - as in peek
        for role, names in candidates(need).items()
    }
    return all(satisfies(role, names) for role, names in there.items())
