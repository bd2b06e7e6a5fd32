"""Turns an instruction and a text into a model's tokens, through its chat template.

The text is a developer's: what looks like a control token in it (`<|im_end|>`) is text to the model as well. And
where the text begins is known to the token, so that what is computed of the instruction can be kept.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from anchorline.engine.errors import UnservableError
from anchorline.generation import Turn

PLACEHOLDER = "\ue000text\ue001"
"""Stands for the text while the template is rendered: private-use characters, which no template looks at."""


class PromptTokens(msgspec.Struct, frozen=True):
    """The tokens of the constant part, and of what follows it (one at least)."""

    constant: list[int]
    new: list[int]

    def __len__(self) -> int:
        return len(self.constant) + len(self.new)


class ChatTemplate:
    """The chat template of one model with its variables."""

    def __init__(self, tokenizer: Any, variables: Mapping[str, object]) -> None:  # noqa: ANN401  (mlx_lm's wrapper)
        self._tokenizer = tokenizer
        self._variables = dict(variables)

    def prompt(self, text: str, instruction: str, *, chat: bool) -> PromptTokens:
        """Returns the tokens of `text` after `instruction`, in the chat template or, without `chat`, as they are."""
        before, after = self._around(instruction) if chat else (instruction, "")
        constant: list[int] = self._tokenizer.encode(before, add_special_tokens=not chat)
        new = [*self.tokens(text), *self._tokenizer.encode(after, add_special_tokens=False)]
        if not new:
            if not constant:
                raise UnservableError("there is nothing to continue: instruction and text are empty")
            constant, new = constant[:-1], constant[-1:]
        return PromptTokens(constant, new)

    def conversation(self, turns: Sequence[Turn]) -> PromptTokens:
        """Returns the tokens of a conversation in the chat template. None of them is constant."""
        placeholders = [{"role": turn.role, "content": PLACEHOLDER} for turn in turns]
        rendered = self._rendered(placeholders)
        around = rendered.split(PLACEHOLDER)
        if len(around) != len(turns) + 1:
            raise UnservableError("the model's chat template changes the text of a conversation")
        new: list[int] = self._tokenizer.encode(around[0], add_special_tokens=False)
        for turn, after in zip(turns, around[1:], strict=True):
            new += [*self.tokens(turn.text), *self._tokenizer.encode(after, add_special_tokens=False)]
        return PromptTokens([], new)

    def tokens(self, text: str) -> list[int]:
        """Returns the tokens of a text in which nothing is a control token."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        return ids

    def _around(self, instruction: str) -> tuple[str, str]:
        turns = [{"role": "system", "content": instruction}] if instruction else []
        turns.append({"role": "user", "content": PLACEHOLDER})
        rendered = self._rendered(turns)
        before, placeholder, after = rendered.partition(PLACEHOLDER)
        if not placeholder:
            raise UnservableError("the model's chat template changes the text; use chat = false")
        return before, after

    def _rendered(self, turns: list[dict[str, str]]) -> str:
        rendered: str = self._tokenizer.apply_chat_template(
            turns, add_generation_prompt=True, tokenize=False, **self._variables
        )
        return rendered
