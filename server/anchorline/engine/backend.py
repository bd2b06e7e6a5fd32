"""What an engine computes with: the interface of MLX and llama.cpp, as the worker uses them.

A backend belongs to one thread and does one thing at a time. It keeps what it has read: the instruction of a request,
a conversation for its next turn.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Protocol

import msgspec

from anchorline.engine.lookup import CopySource
from anchorline.engine.manifest import Device


class StoppedError(Exception):
    """A request was cancelled; the pass that was made for it is not complete."""


class PromptTokens(msgspec.Struct, frozen=True):
    """The tokens of the constant part, and of what follows it (one at least)."""

    constant: list[int]
    new: list[int]

    def __len__(self) -> int:
        return len(self.constant) + len(self.new)


class Prefilled(msgspec.Struct, frozen=True):
    """A prompt that is read but for its `last` tokens; `cached` of it were read before this request."""

    last: list[int]
    cached: int


class Detokenizer(Protocol):
    """Turns tokens into text as they come."""

    def add(self, token: int) -> str:
        """Returns the text that is certain once `token` has come."""

    def rest(self) -> str:
        """Returns what is left when no token follows."""


class Tokenizer(Protocol):
    """A model's tokens, and its chat template."""

    @property
    def ends(self) -> frozenset[int]:
        """Tokens that end an answer."""

    def encode(self, text: str, *, control: bool, begin: bool = False) -> list[int]:
        """Returns the tokens of a text. With `control`, what looks like a control token is one.

        With `begin`, the tokens that begin every text of the model come first.
        """

    def render(self, turns: list[dict[str, str]], variables: Mapping[str, object]) -> str:
        """Returns a conversation in the chat template, up to where the model's answer begins."""

    def detokenizer(self) -> Detokenizer:
        """Returns what turns an answer's tokens into text."""


class Backend(Protocol):
    """A loaded model."""

    @property
    def device(self) -> Device:
        """Where it computes."""

    @property
    def context(self) -> int:
        """Tokens that the model reads at most, its answer included."""

    @property
    def tokenizer(self) -> Tokenizer:
        """Its tokenizer."""

    def read(self, prompt: PromptTokens, *, conversation: bool) -> Generator[None, None, Prefilled]:
        """Reads the prompt but for its last tokens, and yields after each part. What is computed of it is kept."""

    def tokens(
        self, last: Sequence[int], source: CopySource | None, max_tokens: int
    ) -> Iterator[tuple[int, bool]]:
        """Yields greedy tokens after a prompt that was read, and of each whether it was proposed from `source`."""

    def logprobs(self, last: Sequence[int], labels: Sequence[Sequence[int]]) -> Iterator[float]:
        """Yields the log-probability of each label's tokens as the continuation of a prompt that was read."""

    def vector(self, tokens: Sequence[int]) -> list[float]:
        """Returns the mean of the tokens' last hidden states."""

    def stopped(self) -> None:
        """Takes back what a pass that was stopped has done."""

    def rest(self) -> None:
        """Does what can wait until nobody does: keep what was read, write new prefixes, give memory back."""
