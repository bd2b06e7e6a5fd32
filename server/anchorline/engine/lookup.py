"""Prompt-lookup decoding: runs that the answer copies are proposed from the text it copies, and checked in one pass.

After the last `KEY` tokens of the answer, whatever followed the same tokens in the source is a guess at what
follows here. The model reads the guess at once, which costs little more than one token where memory is what is
waited for, and keeps what it would have said itself: greedy output is the same, token for token.
A. Saxena: Prompt Lookup Decoding, https://github.com/apoorvumang/prompt-lookup-decoding
"""

from collections.abc import Callable, Generator, Sequence

KEY = 2
"""Tokens that must agree before a continuation is proposed: one proposes too much, three too late."""
SHORTEST = 4
LONGEST = 16
"""Tokens proposed at once: at first and after a wrong one, and at most; right ones double them."""


class CopySource:
    """A text by its tokens, in which continuations are looked up.

    The answer goes through the source mostly in order, so of several continuations the one nearest after the last
    hit is taken.
    """

    def __init__(self, tokens: Sequence[int]) -> None:
        self._tokens = list(tokens)
        self._offsets: dict[tuple[int, ...], list[int]] = {}
        for end in range(KEY, len(self._tokens)):
            self._offsets.setdefault(tuple(self._tokens[end - KEY : end]), []).append(end)
        self._last = 0

    def continuation(self, tail: Sequence[int]) -> list[int]:
        """Returns the tokens that are likely to follow `tail`, at most LONGEST; none where nothing agrees."""
        offsets = self._offsets.get(tuple(tail[-KEY:]))
        if not offsets:
            return []
        offset = next((offset for offset in offsets if offset >= self._last), offsets[0])
        self._last = offset
        return self._tokens[offset : offset + LONGEST]


def generate(
    first: int,
    read: Callable[[list[int]], list[int]],
    drop: Callable[[int], None],
    source: CopySource,
    max_tokens: int,
) -> Generator[tuple[int, bool], None, None]:
    """Yields `first` and the greedy tokens after it, and of each whether it was proposed by lookup.

    `read` has the model read tokens and returns its greedy token after each; `drop` takes the last ones back.
    """
    answer = [first]
    yield first, False
    reach = SHORTEST
    while len(answer) < max_tokens:
        guess = source.continuation(answer)[: min(reach, max_tokens - len(answer) - 1)]
        tokens = read([answer[-1], *guess])
        right = next((at for at, guessed in enumerate(guess) if tokens[at] != guessed), len(guess))
        drop(len(guess) - right)
        if guess:
            reach = min(2 * reach, LONGEST) if right == len(guess) else SHORTEST
        answer.extend(tokens[: right + 1])
        for at in range(right + 1):
            yield tokens[at], at < right
