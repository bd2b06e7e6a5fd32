"""Computes with MLX: the prompt part by part, greedy tokens, labels and vectors, with what was read before."""

import copy
import importlib.metadata
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import msgspec
from mlx_lm.generate import wired_limit
from mlx_lm.models.cache import can_trim_prompt_cache, make_prompt_cache, trim_prompt_cache

from anchorline.engine import lookup
from anchorline.engine.backend import Prefilled, PromptTokens
from anchorline.engine.lookup import CopySource
from anchorline.engine.mlx import stopping
from anchorline.engine.mlx.conversations import ConversationCache, cut
from anchorline.engine.mlx.loading import LoadedModel
from anchorline.engine.mlx.loading import load as load_model
from anchorline.engine.mlx.prefix import Cache, Prefixes
from anchorline.engine.mlx.tokenizer import MlxTokenizer

PREFILL = {"cpu": 128, "metal": 512}
"""Tokens of the prompt that are read at once: between two reads a cancelled request ends."""
LAST = 96
"""Tokens read in the last pass, at most. For each of them the whole vocabulary is computed, which up to about so many
costs less than a pass more."""
SHORTEST = 16
"""Tokens of an instruction that are worth a pass, and a cache, of their own."""


class Held(msgspec.Struct):
    """A cache, the tokens that it holds, and how many of them were cached before."""

    cache: Cache
    tokens: list[int]
    cached: int = 0


def load(
    folder: Path, stamp: Callable[[], str], stopped: Callable[[], bool], conversation_bytes: int
) -> "MlxBackend":
    """Returns the model in `folder`, loaded, once `stamp` has said that its files are whole, and which they are.

    `stopped` says whether the request at hand was cancelled. Of conversations at most `conversation_bytes` are kept.
    """
    verified = stamp()
    loaded = load_model(folder)
    if loaded.device == "cpu":
        stopping.watch(loaded.model, stopped)
    depends_on = [verified, loaded.device, *map(importlib.metadata.version, ("mlx", "mlx-lm"))]
    prefixes = Prefixes(folder, " ".join(depends_on))
    return MlxBackend(loaded, prefixes, ConversationCache(conversation_bytes))


class MlxBackend:
    """A model that MLX computes (`Backend`)."""

    def __init__(self, loaded: LoadedModel, prefixes: Prefixes, conversations: ConversationCache) -> None:
        self._model = loaded.model
        self.device = loaded.device
        self.tokenizer = MlxTokenizer(loaded.tokenizer)
        self._prefixes = prefixes
        self._conversations = conversations
        self._held = Held([], [])
        self._conversation: Held | None = None
        self.context: int = getattr(self._model.args, "max_position_embeddings", None) or sys.maxsize
        self._trimmable = can_trim_prompt_cache(make_prompt_cache(self._model))

    def read(self, prompt: PromptTokens, *, conversation: bool) -> Generator[None, None, Prefilled]:
        """Reads the prompt but for its last tokens; see `Backend`."""
        constant, new = prompt.constant, prompt.new
        self._conversation = None
        if conversation:
            cache, count = self._conversations.find(new)
            held = self._conversation = Held(cache or make_prompt_cache(self._model), new[:count], count)
            new = new[count:]
        else:
            if len(constant) < SHORTEST:
                constant, new = [], [*constant, *new]
            held = yield from self._instructed(constant)
        self._held = held
        before = max(0, len(new) - LAST)
        with wired_limit(self._model):
            yield from self._prefill(held, new[:before])
        return Prefilled(new[before:], held.cached)

    def tokens(
        self, last: Sequence[int], source: CopySource | None, max_tokens: int
    ) -> Iterator[tuple[int, bool]]:
        """Yields greedy tokens; see `Backend`."""
        held = self._held
        with wired_limit(self._model):
            if source is not None and self._trimmable and self._conversation is None:
                generated = self._copied(held.cache, last, source, max_tokens)
            else:
                generated = self._plain(held.cache, last, max_tokens)
            read = list(last)
            for token, proposed in generated:
                held.tokens += [*read, token]
                read = []
                yield token, proposed

    def logprobs(self, last: Sequence[int], labels: Sequence[Sequence[int]]) -> Iterator[float]:
        """Yields the log-probability of each label; see `Backend`."""
        cache = self._held.cache
        following = self._model(mx.array([last]), cache=cache)[:, -1]
        for tokens in labels:
            logits = following
            if len(tokens) > 1:
                own = copy.deepcopy(cache)
                logits = mx.concatenate([following, self._model(mx.array([tokens[:-1]]), cache=own)[0]])
            chosen = mx.take_along_axis(logits, mx.array(tokens)[:, None], axis=-1)[:, 0]
            yield float((chosen - mx.logsumexp(logits, axis=-1)).sum().item())

    def vector(self, tokens: Sequence[int]) -> list[float]:
        """Returns the mean of the tokens' last hidden states."""
        hidden = self._model.model(mx.array([tokens]))[0]
        mean: list[float] = hidden.astype(mx.float32).mean(axis=0).tolist()
        return mean

    def stopped(self) -> None:
        """Takes back what a pass that was stopped has done."""
        held = self._conversation
        if held is not None and not cut(held.cache, len(held.tokens)):
            self._conversation = None

    def rest(self) -> None:
        """Keeps a conversation that was read, writes new prefixes, and gives memory back."""
        if self._conversation is not None:
            self._conversations.keep(self._conversation.tokens, self._conversation.cache)
            self._conversation = None
        self._held = Held([], [])
        self._prefixes.write()
        mx.clear_cache()

    def _instructed(self, constant: list[int]) -> Generator[None, None, Held]:
        """Returns what is held of an instruction, read if it was not kept."""
        cache = self._prefixes.find(constant) if constant else None
        if cache is not None:
            return Held(cache, list(constant), len(constant))
        held = Held(make_prompt_cache(self._model), [])
        if constant:
            yield from self._prefill(held, constant)
            self._prefixes.keep(constant, held.cache)
        return held

    def _prefill(self, held: Held, tokens: Sequence[int]) -> Iterator[None]:
        step = PREFILL[self.device]
        for start in range(0, len(tokens), step):
            part = tokens[start : start + step]
            self._model(mx.array([part]), cache=held.cache)
            mx.eval([layer.state for layer in held.cache])  # only the cache: no probabilities are computed
            held.tokens += part
            yield

    def _plain(self, cache: Cache, last: Sequence[int], max_tokens: int) -> Iterator[tuple[int, bool]]:
        """Yields greedy tokens; the next one is computed while one is used."""
        token: Any = mx.argmax(self._model(mx.array([last]), cache=cache)[:, -1], axis=-1)
        mx.async_eval(token)
        for _ in range(max_tokens):
            following = mx.argmax(self._model(token[None], cache=cache)[:, -1], axis=-1)
            mx.async_eval(following)
            yield int(token.item()), False
            token = following

    def _copied(
        self, cache: Cache, last: Sequence[int], source: CopySource, max_tokens: int
    ) -> Iterator[tuple[int, bool]]:
        def read(tokens: Sequence[int]) -> list[int]:
            greedy: list[int] = mx.argmax(self._model(mx.array([tokens]), cache=cache)[0], axis=-1).tolist()
            return greedy

        first = read(last)[-1]
        return lookup.generate(first, read, lambda count: trim_prompt_cache(cache, count), source, max_tokens)
