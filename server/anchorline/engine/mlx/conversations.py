"""The KV caches of recent conversations, so that a further turn prefills only what is new in it.

A request mostly repeats the one before it and the answer to that. Kept in the worker's memory only: it goes with the
process, at the latest when an idle model is unloaded. Found by the longest common prefix of the tokens, by mlx_lm's own
`LRUPromptCache`; where a history was edited, a copy is cut back to what is still equal.
"""

from collections.abc import Sequence

from mlx_lm.models.cache import KVCache, LRUPromptCache

from anchorline.engine.mlx.prefix import Cache

MOST = 8
"""Conversations that are kept: the one that was longest without a turn goes first."""
SHORTEST = 16
"""Tokens in common that are worth a copy: chat templates begin all conversations alike."""
_MODEL = ""  # of which a worker has one


class ConversationCache:
    """The kept conversations, of at most so many bytes together; none are kept with 0."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._kept = LRUPromptCache(MOST, most_bytes)

    def find(self, tokens: Sequence[int]) -> tuple[Cache | None, int]:
        """Returns a cache to go on from and how many of the tokens it holds: never the last, which is to be read."""
        wanted = list(tokens[:-1])
        cache, rest = self._kept.fetch_nearest_cache(_MODEL, wanted)
        held = len(wanted) - len(rest)
        if cache is None or held < SHORTEST:
            return None, 0
        for layer in cache:
            if isinstance(layer, KVCache):  # what lies behind is neither copied nor counted
                layer.state = (layer.keys[..., :held, :], layer.values[..., :held, :], held)
        return cache, held

    def keep(self, tokens: Sequence[int], cache: Cache) -> None:
        """Keeps a cache that holds just `tokens`, unless it alone is too large; it is not to be changed any more."""
        if len(tokens) >= SHORTEST and sum(layer.nbytes for layer in cache) <= self._most_bytes:
            self._kept.insert_cache(_MODEL, list(tokens), cache)


def cut(cache: Cache, held: int) -> bool:
    """Takes back what a stopped pass has added to some of the layers. Returns whether that can be done."""
    if not all(isinstance(layer, KVCache) for layer in cache):
        return False
    for layer in cache:
        layer.trim(max(layer.offset - held, 0))
    return True
