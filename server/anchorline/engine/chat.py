"""Turns an instruction and a text into a model's tokens, through its chat template.

The text is a developer's: what looks like a control token in it (`<|im_end|>`) is text to the model as well. And
where the text begins is known to the token, so that what is computed of the instruction can be kept.
"""

from collections.abc import Mapping, Sequence

from anchorline.engine.backend import PromptTokens, Tokenizer
from anchorline.engine.errors import UnservableError
from anchorline.generation import Turn

PLACEHOLDER = "\ue000text\ue001"
"""Stands for the text while the template is rendered: private-use characters, which no template looks at."""


class ChatTemplate:
    """The chat template of one model with its variables."""

    def __init__(self, tokenizer: Tokenizer, variables: Mapping[str, object]) -> None:
        self._tokenizer = tokenizer
        self._variables = dict(variables)

    def prompt(self, text: str, instruction: str, *, chat: bool) -> PromptTokens:
        """Returns the tokens of `text` after `instruction`, in the chat template or, without `chat`, as they are."""
        before, after = self._around(instruction) if chat else (instruction, "")
        constant = self._tokenizer.encode(before, control=True, begin=not chat)
        new = [*self.tokens(text), *self._tokenizer.encode(after, control=True)]
        if not new:
            if not constant:
                raise UnservableError("there is nothing to continue: instruction and text are empty")
            constant, new = constant[:-1], constant[-1:]
        return PromptTokens(constant, new)

    def conversation(self, turns: Sequence[Turn]) -> PromptTokens:
        """Returns the tokens of a conversation in the chat template. None of them is constant."""
        placeholders = [{"role": turn.role, "content": PLACEHOLDER} for turn in turns]
        rendered = self._tokenizer.render(placeholders, self._variables)
        around = rendered.split(PLACEHOLDER)
        if len(around) != len(turns) + 1:
            raise UnservableError("the model's chat template changes the text of a conversation")
        new = self._tokenizer.encode(around[0], control=True)
        for turn, after in zip(turns, around[1:], strict=True):
            new += [*self.tokens(turn.text), *self._tokenizer.encode(after, control=True)]
        return PromptTokens([], new)

    def tokens(self, text: str) -> list[int]:
        """Returns the tokens of a text in which nothing is a control token."""
        return self._tokenizer.encode(text, control=False)

    def _around(self, instruction: str) -> tuple[str, str]:
        turns = [{"role": "system", "content": instruction}] if instruction else []
        turns.append({"role": "user", "content": PLACEHOLDER})
        rendered = self._tokenizer.render(turns, self._variables)
        before, placeholder, after = rendered.partition(PLACEHOLDER)
        if not placeholder:
            raise UnservableError("the model's chat template changes the text; use chat = false")
        return before, after
