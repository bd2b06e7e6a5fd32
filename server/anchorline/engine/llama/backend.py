"""Computes with llama.cpp: the prompt part by part, greedy tokens, labels and vectors, with what was read before."""

import ctypes
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

import numpy as np

from anchorline.engine import lookup
from anchorline.engine.backend import Prefilled, PromptTokens
from anchorline.engine.errors import DamagedModelError
from anchorline.engine.llama import library
from anchorline.engine.llama.kept import Conversations, Instructions, State, common
from anchorline.engine.llama.labels import LONGEST_LABEL, passes
from anchorline.engine.llama.sequences import AT_ONCE, Floats, Sequences
from anchorline.engine.llama.tokenizer import LlamaTokenizer
from anchorline.engine.lookup import CopySource
from anchorline.engine.manifest import Device

SHORTEST = 16
"""Tokens in common that are worth going on from: chat templates begin all conversations alike."""


def load(
    folder: Path,
    file: str,
    stamp: Callable[[], str],
    stopped: Callable[[], bool],
    *,
    threads: int,
    conversation_bytes: int,
) -> "LlamaBackend":
    """Returns the model in the GGUF file `file` in `folder`, once `stamp` has said that it is whole, and which it is.

    `stopped` says whether the request at hand was cancelled. Of conversations at most `conversation_bytes` are kept.
    Raises DamagedModelError, and ImportError where the library can't be used.
    """
    loaded = library.load()
    first_error = library.keep_errors(loaded)
    verified = stamp()
    loaded.llama_backend_init()
    parameters = loaded.llama_model_default_params()
    parameters.n_gpu_layers = 0  # where there is Metal, MLX is the engine
    path = folder / file
    model: int | None = loaded.llama_model_load_from_file(str(path).encode(), parameters)
    if model is None:
        raise DamagedModelError(
            f"llama.cpp can't load {path.resolve()}: {first_error() or 'no reason given'}"
        )
    if loaded.llama_model_has_encoder(model):
        raise DamagedModelError(f"{path.resolve()} is not a model that writes text")
    identity = f"{verified} {library.version()} {AT_ONCE}"
    return LlamaBackend(
        loaded,
        model,
        Sequences(
            loaded,
            model,
            threads=threads,
            most=loaded.llama_model_n_ctx_train(model),
            stopped=stopped,
        ),
        Instructions(folder, identity),
        Conversations(conversation_bytes),
    )


class LlamaBackend:
    """A model that llama.cpp computes (`Backend`)."""

    device: Device = "cpu"

    def __init__(
        self,
        loaded: ctypes.CDLL,
        model: int,
        sequences: Sequences,
        instructions: Instructions,
        conversations: Conversations,
    ) -> None:
        self.tokenizer = LlamaTokenizer(loaded, model)
        self.context: int = loaded.llama_model_n_ctx_train(model)
        self._sequences = sequences
        self._instructions = instructions
        self._conversations = conversations
        self._in_conversation = False

    def read(self, prompt: PromptTokens, *, conversation: bool) -> Generator[None, None, Prefilled]:
        """Reads the prompt but for its last tokens; see `Backend`."""
        wanted = [*prompt.constant, *prompt.new]
        constant = prompt.constant if len(prompt.constant) >= SHORTEST else []
        self._sequences.make_room(len(wanted) + 1)
        self._go_on_from(wanted, constant, conversation=conversation)
        self._in_conversation = conversation
        cached = len(self._sequences.tokens)
        if cached < len(constant):
            yield from self._prefill(constant[cached:])
            self._instructions.keep(State(list(constant), self._sequences.saved()))
        new = wanted[len(self._sequences.tokens) :]
        before = (len(new) - 1) // AT_ONCE * AT_ONCE
        yield from self._prefill(new[:before])
        return Prefilled(new[before:], cached)

    def tokens(
        self, last: Sequence[int], source: CopySource | None, max_tokens: int
    ) -> Iterator[tuple[int, bool]]:
        """Yields greedy tokens; see `Backend`."""
        sequences = self._sequences
        first = self._greedy(last)[-1]
        if source is not None and not self._in_conversation:

            def drop(count: int) -> None:
                sequences.cut(len(sequences.tokens) - count)

            yield from lookup.generate(first, self._greedy_each, drop, source, max_tokens)
            return
        yield first, False
        for _ in range(max_tokens - 1):
            first = self._greedy([first])[-1]
            yield first, False

    def logprobs(self, last: Sequence[int], labels: Sequence[Sequence[int]]) -> Iterator[float]:
        """Yields the log-probability of each label, after passes over what their tokens share; see `Backend`."""
        sequences = self._sequences
        held = len(sequences.tokens) + len(last)
        sequences.make_room(held + AT_ONCE)
        sequences.read(last)
        following = _log_softmax(sequences.logits(len(last) - 1))
        values = [float(following[tokens[0]]) for tokens in labels]
        for label, tokens in enumerate(labels):
            if len(tokens) > LONGEST_LABEL:
                values[label] += self._continued(tokens)
        for entries, branches, wanted in passes(labels, held):
            try:
                for branch in branches:
                    sequences.branch(branch)
                sequences.decode(entries)
                for index, continued in wanted.items():
                    row = _log_softmax(sequences.logits(index))
                    for label, token in continued:
                        values[label] += float(row[token])
            finally:
                for branch in branches:
                    sequences.clear(branch)
        yield from values

    def vector(self, tokens: Sequence[int]) -> list[float]:
        """Returns the mean of the tokens' last hidden states."""
        mean: list[float] = (self._sequences.hidden(tokens) / len(tokens)).tolist()
        return mean

    def stopped(self) -> None:
        """Takes back what a pass that was stopped has done."""
        self._sequences.cut(len(self._sequences.tokens))

    def rest(self) -> None:
        """Writes new instructions, and forgets a conversation where none is to be kept."""
        self._instructions.write()
        if not self._conversations.most_bytes:
            self._sequences.cut(0)

    def _go_on_from(self, wanted: list[int], constant: list[int], *, conversation: bool) -> None:
        """Has the main sequence hold the longest beginning of `wanted` that was read before, but for the last token."""
        sequences = self._sequences
        reached = common(sequences.tokens, wanted)
        state = self._instructions.find(constant) if reached < len(constant) else None
        count = len(constant) if state is not None else 0
        if conversation:
            state, count = self._conversations.nearest(wanted)
        if self._in_conversation and reached < len(sequences.tokens):
            self._conversations.keep(State(list(sequences.tokens), sequences.saved()))
        if state is not None and count > max(reached, SHORTEST - 1):
            sequences.restore(state.tokens, state.data)
            reached = common(sequences.tokens, wanted)
        reached = min(reached, len(wanted) - 1)
        sequences.cut(reached if reached >= SHORTEST else 0)

    def _continued(self, tokens: Sequence[int]) -> float:
        """Returns the log-probability of all tokens of a long label but the first."""
        sequences = self._sequences
        held, total = len(sequences.tokens), 0.0
        sequences.make_room(held + len(tokens))
        for start in range(0, len(tokens) - 1, AT_ONCE):
            part = tokens[start : min(start + AT_ONCE, len(tokens) - 1)]
            sequences.read(part, outputs=True)
            following = tokens[start + 1 : start + 1 + len(part)]
            total += sum(
                float(_log_softmax(sequences.logits(at))[token]) for at, token in enumerate(following)
            )
        sequences.cut(held)
        return total

    def _prefill(self, tokens: Sequence[int]) -> Iterator[None]:
        for start in range(0, len(tokens), AT_ONCE):
            self._sequences.read(tokens[start : start + AT_ONCE])
            yield

    def _greedy(self, tokens: Sequence[int]) -> list[int]:
        """Reads tokens and returns the most likely one after the last."""
        self._sequences.make_room(len(self._sequences.tokens) + len(tokens) + 1)
        self._sequences.read(tokens)
        return [int(self._sequences.logits(len(tokens) - 1).argmax())]

    def _greedy_each(self, tokens: Sequence[int]) -> list[int]:
        """Reads tokens and returns the most likely one after each."""
        self._sequences.make_room(len(self._sequences.tokens) + len(tokens) + 1)
        self._sequences.read(tokens, outputs=True)
        return [int(self._sequences.logits(index).argmax()) for index in range(len(tokens))]


def _log_softmax(logits: Floats) -> Floats:
    values = logits.astype(np.float64)
    values -= values.max()
    shifted: Floats = values - np.log(np.exp(values).sum())
    return shifted
