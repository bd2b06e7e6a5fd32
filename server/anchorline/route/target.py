"""A model that requests can be sent to, resolved once: its provider's cache rules and its entry in the catalogue."""

from math import inf

import msgspec

from anchorline.cache import rules as cache_rules
from anchorline.cache.rules import Provider, Rules
from anchorline.config import Files
from anchorline.route import catalog as models
from anchorline.route.catalog import Catalog, Model

MOST = 500
"""Names that are remembered: they come from outside."""


class Target(msgspec.Struct, frozen=True):
    """A model by the `name` that a request has for it. `provider` holds the cache rules for this model alone.

    `model` is its entry in the catalogue, None where it has none: then its prices and limits are not known.
    """

    name: str
    provider: Provider
    model: Model | None

    @property
    def id(self) -> str:
        """The name that all requests to the model share: the catalogue's, else the request's."""
        return self.model.id if self.model is not None else self.name

    def prices(self, prompt_tokens: int, at: float = inf) -> tuple[float, float]:
        """Returns the USD per input and output token at the epoch second `at`; zeros where they are not known."""
        return self.model.prices(prompt_tokens, at) if self.model is not None else (0.0, 0.0)


class Targets:
    """All models, by any name that requests use."""

    def __init__(self, rules: Rules, catalog: Catalog) -> None:
        self.rules = rules
        self.catalog = catalog
        self._memo: dict[str, Target] = {}

    def find(self, name: str) -> Target:
        """Returns the target of a name. One that nobody knows has no entry and a provider without a cache."""
        target = self._memo.get(name)
        if target is None:
            if len(self._memo) >= MOST:
                self._memo.clear()
            target = Target(name, self.rules.for_model(name), self.catalog.find(name))
            self._memo[name] = target
        return target

    def same(self, name: str, other: str) -> bool:
        """Says whether two names are one model's."""
        return name == other or self.find(name).id == self.find(other).id


def load(files: Files | None = None) -> Targets:
    """Returns all models, from the built-in files with the user's own over them. Never raises."""
    files = files or Files()
    return Targets(cache_rules.load(files.providers), models.load(files.models))
