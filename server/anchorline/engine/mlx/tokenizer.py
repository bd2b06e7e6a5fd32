"""The tokenizer of an mlx_lm model folder, as the worker uses it."""

from collections.abc import Mapping
from typing import Any


class MlxDetokenizer:
    """mlx_lm's detokenizer."""

    def __init__(self, detokenizer: Any) -> None:  # noqa: ANN401  (mlx_lm's)
        self._detokenizer = detokenizer

    def add(self, token: int) -> str:
        """Returns the text that is certain once `token` has come."""
        self._detokenizer.add_token(token)
        return str(self._detokenizer.last_segment)

    def rest(self) -> str:
        """Returns what is left when no token follows."""
        self._detokenizer.finalize()
        return str(self._detokenizer.last_segment)


class MlxTokenizer:
    """mlx_lm's wrapper of the tokenizer of transformers."""

    def __init__(self, tokenizer: Any) -> None:  # noqa: ANN401  (mlx_lm's wrapper)
        self._tokenizer = tokenizer
        self.ends: frozenset[int] = frozenset(tokenizer.eos_token_ids)

    def encode(self, text: str, *, control: bool, begin: bool = False) -> list[int]:
        """Returns the tokens of a text; see `Tokenizer`."""
        ids: list[int] = self._tokenizer.encode(
            text, add_special_tokens=begin, split_special_tokens=not control
        )
        return ids

    def render(self, turns: list[dict[str, str]], variables: Mapping[str, object]) -> str:
        """Returns a conversation in the chat template."""
        rendered: str = self._tokenizer.apply_chat_template(
            turns, add_generation_prompt=True, tokenize=False, **variables
        )
        return rendered

    def detokenizer(self) -> MlxDetokenizer:
        """Returns what turns an answer's tokens into text."""
        return MlxDetokenizer(self._tokenizer.detokenizer)
