"""Generates, scores and embeds with a loaded model, in the one thread of the worker that owns it."""

import math
import sys
import time
from collections.abc import Generator, Mapping

from anchorline.engine.answer import GeneratedAnswer
from anchorline.engine.backend import Backend, Prefilled, PromptTokens
from anchorline.engine.chat import ChatTemplate
from anchorline.engine.errors import UnservableError
from anchorline.engine.lookup import CopySource
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

if sys.platform != "win32":
    import resource


def _peak_memory() -> int:
    """Returns the most memory that this process has had, in bytes."""
    if sys.platform == "win32":
        return 0
    else:  # noqa: RET505  (mypy reads one branch by the platform)
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


class Inference:
    """A model at work. Each method yields messages; between two of them the request may be dropped."""

    def __init__(self, backend: Backend, template: Mapping[str, object]) -> None:
        self._backend = backend
        self._tokenizer = backend.tokenizer
        self._chat = ChatTemplate(backend.tokenizer, template)
        self.device = backend.device

    def generate(self, message: Generate) -> Generator[Working | Read | Token | Finished, None, None]:
        """Yields a message for each part of the prompt that is read, for each token, and at the end."""
        started = time.perf_counter()
        request = message.request
        if request.turns:
            prompt = self._chat.conversation(request.turns)
        else:
            prompt = self._chat.prompt(request.text, request.instruction, chat=request.chat)
        self._check(len(prompt) + request.max_tokens)
        answer = GeneratedAnswer(self._tokenizer, request)
        first = started
        prefilled = yield from self._read(message.id, prompt, conversation=bool(request.turns))
        yield Read(message.id, len(prompt), prefilled.cached)
        source = CopySource(self._chat.tokens(request.copy_from)) if request.copy_from else None
        for token, proposed in self._backend.tokens(prefilled.last, source, request.max_tokens):
            if not answer.count:
                first = time.perf_counter()
            ended = answer.add(token, proposed=proposed)
            yield Token(message.id, answer.text)
            if ended:
                break
        yield Finished(
            id=message.id,
            finish=answer.finish,
            prompt=len(prompt),
            cached=prefilled.cached,
            generated=answer.count,
            proposed=answer.proposed,
            prefill_s=first - started,
            decode_s=time.perf_counter() - first,
            peak_memory=_peak_memory(),
        )

    def score(self, message: Score) -> Generator[Working | Scores, None, None]:
        """Yields the log-probability of each label after the prompt, which is read once."""
        prompt = self._chat.prompt(message.text, message.instruction, chat=message.chat)
        labels = [self._chat.tokens(label) for label in message.labels]
        for tokens in labels:
            self._check(len(prompt) + len(tokens), least=len(prompt) + 1)
        prefilled = yield from self._read(message.id, prompt)
        values = []
        for value in self._backend.logprobs(prefilled.last, labels):
            values.append(value)
            yield Working(message.id)
        yield Scores(message.id, tuple(values))

    def embed(self, message: Embed) -> Generator[Working | Vectors, None, None]:
        """Yields the vector of each text: the mean of its tokens' last hidden states, of length 1."""
        vectors = []
        for text in message.texts:
            tokens = self._chat.tokens(text)
            self._check(len(tokens))
            values = self._backend.vector(tokens)
            length = math.hypot(*values)
            vectors.append(tuple(value / length for value in values))
            yield Working(message.id)
        yield Vectors(message.id, tuple(vectors))

    def count(self, message: Count) -> Generator[Counted, None, None]:
        """Yields how many tokens a conversation has."""
        yield Counted(message.id, len(self._chat.conversation(message.turns)))

    def stopped(self) -> None:
        """Takes back what a pass that was stopped has done."""
        self._backend.stopped()

    def rest(self) -> None:
        """Does what can wait until nobody does."""
        self._backend.rest()

    def _check(self, tokens: int, least: int = 1) -> None:
        if tokens < least:
            raise UnservableError("the text or label is empty")
        if tokens > self._backend.context:
            raise UnservableError(
                f"{tokens} tokens are more than the {self._backend.context} that the model reads"
            )

    def _read(
        self, number: int, prompt: PromptTokens, *, conversation: bool = False
    ) -> Generator[Working, None, Prefilled]:
        reading = self._backend.read(prompt, conversation=conversation)
        while True:
            try:
                next(reading)
            except StopIteration as read:
                prefilled: Prefilled = read.value
                return prefilled
            yield Working(number)
