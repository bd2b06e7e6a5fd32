"""An answer as it grows from tokens to text, and where it ends."""

from collections.abc import Sequence
from typing import Literal

from anchorline.engine.backend import Tokenizer
from anchorline.generation import Request


class GeneratedAnswer:
    """What has been generated: its new text, and how many tokens (of them `proposed` by lookup)."""

    def __init__(self, tokenizer: Tokenizer, request: Request) -> None:
        self._ends = tokenizer.ends
        self._detokenizer = tokenizer.detokenizer()
        self._stops = Stops(request.stop)
        self._most = request.max_tokens
        self.count = 0
        self.proposed = 0
        self.text = ""
        self.finish: Literal["", "stop", "length"] = ""

    def add(self, token: int, *, proposed: bool) -> bool:
        """Takes a token in: `text` is what it adds. Returns whether the answer is complete."""
        if token in self._ends:
            self.finish = "stop"
            self.text = self._rest()
            return True
        self.count += 1
        self.proposed += proposed
        self.text = self._stops.feed(self._detokenizer.add(token))
        if self._stops.reached:
            self.finish = "stop"
        elif self.count >= self._most:
            self.finish = "length"
            self.text += self._rest()
        return bool(self.finish)

    def _rest(self) -> str:
        return self._stops.feed(self._detokenizer.rest()) + self._stops.rest()


class Stops:
    """Passes text on until a stop string comes; what might become one is held back."""

    def __init__(self, strings: Sequence[str]) -> None:
        self._strings = [string for string in strings if string]
        self._held = ""
        self.reached = False

    def feed(self, text: str) -> str:
        """Returns what is certain to belong to the answer."""
        if self.reached:
            return ""
        self._held += text
        positions = [position for string in self._strings if (position := self._held.find(string)) >= 0]
        if positions:
            self.reached = True
            end = min(positions)
        else:
            end = len(self._held) - self._pending()
        certain, self._held = self._held[:end], self._held[end:]
        return certain

    def rest(self) -> str:
        """Returns what was held back when the answer has ended without a stop string."""
        return "" if self.reached else self._held

    def _pending(self) -> int:
        """Returns how many of the last characters may be the beginning of a stop string."""
        longest = max((len(string) for string in self._strings), default=0)
        return next(
            (
                size
                for size in range(min(longest - 1, len(self._held)), 0, -1)
                if any(string.startswith(self._held[-size:]) for string in self._strings)
            ),
            0,
        )
