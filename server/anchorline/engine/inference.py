"""Generates, scores and embeds with a loaded model, in the one thread of the worker that owns MLX."""

import copy
import importlib.metadata
import math
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import msgspec
from mlx_lm.generate import wired_limit
from mlx_lm.models.cache import can_trim_prompt_cache, make_prompt_cache

from anchorline.engine import lookup, stopping
from anchorline.engine.answer import GeneratedAnswer
from anchorline.engine.chat import ChatTemplate, PromptTokens
from anchorline.engine.conversations import ConversationCache, cut
from anchorline.engine.errors import UnservableError
from anchorline.engine.installed import Receipt
from anchorline.engine.loading import LoadedModel
from anchorline.engine.loading import load as load_model
from anchorline.engine.prefix import Cache, Prefixes
from anchorline.engine.wire import (
    Count,
    Counted,
    Embed,
    Finished,
    Generate,
    Read,
    Score,
    Scores,
    Token,
    Vectors,
    Working,
)
from anchorline.generation import Request

if sys.platform != "win32":
    import resource

PREFILL = {"cpu": 128, "metal": 512}
"""Tokens of the prompt that are read at once: between two reads a cancelled request ends."""
LAST = 96
"""Tokens read in the last pass, at most. For each of them the whole vocabulary is computed, which up to about so many
costs less than a pass more."""
SHORTEST = 16
"""Tokens of an instruction that are worth a pass, and a cache, of their own."""


def _peak_memory() -> int:
    """Returns the most memory that this process has had, in bytes."""
    if sys.platform == "win32":  # which MLX has no build for
        return 0
    else:  # noqa: RET505  (mypy reads one branch by the platform)
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


class Held(msgspec.Struct):
    """A cache, the tokens that it holds, and how many of them were cached before."""

    cache: Cache
    tokens: list[int]
    cached: int = 0


def load(
    folder: Path, receipt: Callable[[], Receipt], stopped: Callable[[], bool], conversation_bytes: int
) -> "Inference":
    """Returns the model in `folder`, loaded, once `receipt` has said that its files are whole.

    `stopped` says whether the request at hand was cancelled. Of conversations at most `conversation_bytes` are kept.
    """
    verified = receipt()
    loaded = load_model(folder)
    if loaded.device == "cpu":
        stopping.watch(loaded.model, stopped)
    depends_on = [verified.stamp, loaded.device, *map(importlib.metadata.version, ("mlx", "mlx-lm"))]
    prefixes = Prefixes(folder, " ".join(depends_on))
    chat = ChatTemplate(loaded.tokenizer, verified.model.template)
    return Inference(loaded, chat, prefixes, ConversationCache(conversation_bytes))


class Inference:
    """A model at work. Each method yields messages; between two of them the request may be dropped."""

    def __init__(
        self, loaded: LoadedModel, chat: ChatTemplate, prefixes: Prefixes, conversations: ConversationCache
    ) -> None:
        self._model, self._tokenizer, self.device = loaded
        self._chat = chat
        self._prefixes = prefixes
        self._conversations = conversations
        self._held: Held | None = None
        self._context = getattr(self._model.args, "max_position_embeddings", None) or sys.maxsize
        self._trimmable = can_trim_prompt_cache(make_prompt_cache(self._model))

    def generate(self, message: Generate) -> Generator[Working | Read | Token | Finished, None, None]:
        """Yields a message for each part of the prompt that is read, for each token, and at the end."""
        started = time.perf_counter()
        self._held = None
        request = message.request
        if request.turns:
            prompt = self._chat.conversation(request.turns)
        else:
            prompt = self._chat.prompt(request.text, request.instruction, chat=request.chat)
        self._check(len(prompt) + request.max_tokens)
        answer = GeneratedAnswer(self._tokenizer, request)
        first = started
        with wired_limit(self._model):
            held, last = yield from self._read(message.id, prompt, conversation=bool(request.turns))
            yield Read(message.id, len(prompt), held.cached)
            for token, proposed in self._tokens(held.cache, last, request):
                if not answer.count:
                    first = time.perf_counter()
                held.tokens += [*last, token]
                last = []
                ended = answer.add(token, proposed=proposed)
                yield Token(message.id, answer.text)
                if ended:
                    break
        yield Finished(
            id=message.id,
            finish=answer.finish,
            prompt=len(prompt),
            cached=held.cached,
            generated=answer.count,
            proposed=answer.proposed,
            prefill_s=first - started,
            decode_s=time.perf_counter() - first,
            peak_memory=_peak_memory(),
        )

    def score(self, message: Score) -> Generator[Working | Scores, None, None]:
        """Yields the log-probability of each label after the prompt, which is read once."""
        prompt = self._chat.prompt(message.text, message.instruction, chat=message.chat)
        held, last = yield from self._read(message.id, prompt)
        following = self._model(mx.array([last]), cache=held.cache)[:, -1]
        values = []
        for label in message.labels:
            tokens = self._chat.tokens(label)
            self._check(len(prompt) + len(tokens), least=len(prompt) + 1)
            logits = following
            if len(tokens) > 1:
                own = copy.deepcopy(held.cache)
                logits = mx.concatenate([following, self._model(mx.array([tokens[:-1]]), cache=own)[0]])
            chosen = mx.take_along_axis(logits, mx.array(tokens)[:, None], axis=-1)[:, 0]
            values.append(float((chosen - mx.logsumexp(logits, axis=-1)).sum().item()))
            yield Working(message.id)
        yield Scores(message.id, tuple(values))

    def embed(self, message: Embed) -> Generator[Working | Vectors, None, None]:
        """Yields the vector of each text: the mean of its tokens' last hidden states, of length 1."""
        vectors = []
        for text in message.texts:
            tokens = self._chat.tokens(text)
            self._check(len(tokens))
            hidden = self._model.model(mx.array([tokens]))[0]
            values: list[float] = hidden.astype(mx.float32).mean(axis=0).tolist()
            length = math.hypot(*values)
            vectors.append(tuple(value / length for value in values))
            yield Working(message.id)
        yield Vectors(message.id, tuple(vectors))

    def count(self, message: Count) -> Generator[Counted, None, None]:
        """Yields how many tokens a conversation has."""
        yield Counted(message.id, len(self._chat.conversation(message.turns)))

    def stopped(self) -> None:
        """Takes back what a pass that was stopped has done."""
        if self._held is not None and not cut(self._held.cache, len(self._held.tokens)):
            self._held = None

    def rest(self) -> None:
        """Does what can wait until nobody does: keep what was read, write new prefixes, give memory back."""
        if self._held is not None:
            self._conversations.keep(self._held.tokens, self._held.cache)
            self._held = None
        self._prefixes.write()
        mx.clear_cache()

    def _check(self, tokens: int, least: int = 1) -> None:
        if tokens < least:
            raise UnservableError("the text or label is empty")
        if tokens > self._context:
            raise UnservableError(f"{tokens} tokens are more than the {self._context} that the model reads")

    def _read(
        self, number: int, prompt: PromptTokens, *, conversation: bool = False
    ) -> Generator[Working, None, tuple[Held, list[int]]]:
        """Reads the prompt but for its last tokens. Returns what is held then, and those."""
        constant, new = prompt.constant, prompt.new
        if conversation:
            cache, count = self._conversations.find(new)
            held = self._held = Held(cache or make_prompt_cache(self._model), new[:count], count)
            new = new[count:]
        else:
            if len(constant) < SHORTEST:
                constant, new = [], [*constant, *new]
            held = yield from self._instructed(number, constant)
        before = max(0, len(new) - LAST)
        yield from self._prefill(number, held, new[:before])
        return held, new[before:]

    def _instructed(self, number: int, constant: list[int]) -> Generator[Working, None, Held]:
        """Returns what is held of an instruction, read if it was not kept."""
        cache = self._prefixes.find(constant) if constant else None
        if cache is not None:
            return Held(cache, list(constant), len(constant))
        held = Held(make_prompt_cache(self._model), [])
        if constant:
            yield from self._prefill(number, held, constant)
            self._prefixes.keep(constant, held.cache)
        return held

    def _prefill(self, number: int, held: Held, tokens: Sequence[int]) -> Iterator[Working]:
        step = PREFILL[self.device]
        for start in range(0, len(tokens), step):
            part = tokens[start : start + step]
            self._model(mx.array([part]), cache=held.cache)
            mx.eval([layer.state for layer in held.cache])  # only the cache: no probabilities are computed
            held.tokens += part
            yield Working(number)

    def _tokens(self, cache: Cache, last: Sequence[int], request: Request) -> Iterator[tuple[int, bool]]:
        if request.copy_from and self._trimmable and not request.turns:
            source = lookup.CopySource(self._chat.tokens(request.copy_from))
            return lookup.generate(self._model, cache, last, source, request.max_tokens)
        return self._plain(cache, last, request.max_tokens)

    def _plain(self, cache: Cache, last: Sequence[int], max_tokens: int) -> Iterator[tuple[int, bool]]:
        """Yields greedy tokens; the next one is computed while one is used."""
        token: Any = mx.argmax(self._model(mx.array([last]), cache=cache)[:, -1], axis=-1)
        mx.async_eval(token)
        for _ in range(max_tokens):
            following = mx.argmax(self._model(token[None], cache=cache)[:, -1], axis=-1)
            mx.async_eval(following)
            yield int(token.item()), False
            token = following
