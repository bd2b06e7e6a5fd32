"""How much each installed package takes on the disk."""

from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def sizes(site_packages: Path | None = None) -> dict[str, int]:
    """Return bytes by package, the largest first: its files and their bytecode, in a folder or where this runs.

    A package that is installed in place (editable) counts with the few files that lead to it.
    """
    found = distributions() if site_packages is None else distributions(path=[str(site_packages)])
    by_name = {package.name: sum(file.stat().st_size for file in _files(package)) for package in found}
    return dict(sorted(by_name.items(), key=lambda item: item[1], reverse=True))


def _files(package: Distribution) -> set[Path]:
    listed = {Path(str(package.locate_file(file))).resolve() for file in package.files or ()}
    return {
        file for listed_file in listed for file in (listed_file, *_bytecode(listed_file)) if file.is_file()
    }


def _bytecode(source: Path) -> Iterator[Path]:
    if source.suffix == ".py":
        yield from (source.parent / "__pycache__").glob(f"{source.stem}.*.pyc")


def required(name: str) -> set[str]:
    """Return the names of a package and of all that it needs here, as far as it is installed."""
    names: set[str] = set()
    waiting = [Requirement(name)]
    while waiting:
        wanted = waiting.pop()
        try:
            package = distribution(wanted.name)
        except PackageNotFoundError:
            continue
        canonical = canonicalize_name(package.name)
        if canonical in names and not wanted.extras:
            continue
        names.add(canonical)
        for line in package.requires or ():
            needed = Requirement(line)
            extras = wanted.extras or {""}
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(needed)
    return names
