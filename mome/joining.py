"""How prompt and answer are joined into what the backbone reads, and how an answer is read back."""

from __future__ import annotations

import string
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from mome.errors import FactsError, SettingsError

PRESETS = {"plain": "{prompt} {answer}", "qa": "Question: {prompt}\nAnswer: {answer}"}
CHAT = "chat"


@dataclass(frozen=True, kw_only=True, slots=True)
class Joiner:
    """Encodes prompts and answers for one tokenizer.

    Args:
        tokenizer: the backbone's.
        join: `"plain"` (one space), `"qa"` (a question form), `"chat"` (the tokenizer's chat template), or a format
            string with `{prompt}` and, at its end, `{answer}`; braces that stand for themselves are doubled.
        end: what is taught after the answer: `"eos"` (end of text), `"none"` (nothing: the text goes on) or a literal.

    Raises:
        SettingsError: the join or the end cannot be used with this tokenizer.
    """

    tokenizer: PreTrainedTokenizerBase
    join: str = "plain"
    end: str = "eos"
    _closes: bool = field(init=False, repr=False, compare=False)
    end_ids: tuple[int, ...] = field(init=False, repr=False, compare=False)  # of what is taught after an answer

    def __post_init__(self) -> None:
        if self.join == CHAT:
            if not getattr(self.tokenizer, "chat_template", None):
                raise SettingsError(
                    'join "chat": the tokenizer has no chat template; use "plain", "qa" or a format string'
                )
        else:
            self._check_format()
        # Some tokenizers close every text with their end token, which would end the prompt before its answer.
        closed, bare = (self.tokenizer("a", add_special_tokens=special).input_ids[-1:] for special in (True, False))
        object.__setattr__(self, "_closes", closed == [self.tokenizer.eos_token_id] != bare)
        object.__setattr__(self, "end_ids", tuple(self._encode_end()))

    def _check_format(self) -> None:
        text = PRESETS.get(self.join, self.join)
        try:
            fields = [part[1:] for part in string.Formatter().parse(text) if part[1] is not None]
        except ValueError as error:
            raise SettingsError(f"join {self.join!r}: not a format string ({error})") from None
        plain = {("prompt", "", None), ("answer", "", None)}  # without format specification and conversion
        if len(fields) != 2 or set(fields) != plain or not text.endswith("{answer}"):
            raise SettingsError(
                f"join {self.join!r}: expected plain, qa, chat, or a text with {{prompt}} once and {{answer}} once at "
                "its end, such as 'Q: {prompt}\\nA: {answer}'"
            )

    def _encode_end(self) -> list[int]:
        if self.end == "none":
            return []
        if self.end == "eos":
            if self.tokenizer.eos_token_id is None:
                raise SettingsError('end "eos": the tokenizer has no end-of-text token; use "none" or a literal text')
            return [cast(int, self.tokenizer.eos_token_id)]
        for ids in self._encodings(self.end):
            if ids and self._text(ids, skip_special_tokens=False).strip() == self.end.strip():
                return ids
        raise SettingsError(
            f'end {self.end!r}: expected "eos", "none" or a text that the tokenizer can represent; use another text'
        )

    def _split(self, prompt: str) -> tuple[str, str]:
        """The text before the answer, and the white space that belongs to the answer's first token."""
        text = PRESETS.get(self.join, self.join).removesuffix("{answer}")
        before = text.rstrip()
        return before.format(prompt=prompt), text[len(before) :]

    def encode_prompt(self, prompt: str) -> list[int]:
        """Token ids of everything that stands before the answer."""
        if self.join == CHAT:
            turns = [{"role": "user", "content": prompt}]
            ids = self.tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
            return cast(list[int], ids)
        return self._encode(self._split(prompt)[0])

    def _encode(self, text: str) -> list[int]:
        ids = self.tokenizer(text).input_ids
        return ids[:-1] if self._closes else ids

    def _encodings(self, text: str, *befores: str) -> Iterator[list[int]]:
        """Ways to encode a text that continues another one, best first.

        A text alone would get the space that some tokenizers put before all they read, so it is cut out of a longer
        one: the one it continues or, where the two share a token, one with a neutral beginning.
        """
        for before in (*befores, "a", "\n"):
            first, both = self._encode(before), self._encode(before + text)
            if both[: len(first)] == first:
                yield both[len(first) :]
        yield self.tokenizer(text, add_special_tokens=False).input_ids

    def encode_answer(self, prompt: str, answer: str) -> list[int]:
        """Token ids of the answer as it follows the prompt, with its end.

        Raises:
            FactsError: the tokenizer cannot represent the answer, or the answer contains its end.
        """
        answer = answer.strip()
        if self._is_literal and (answer + self.end).index(self.end) < len(answer):
            raise FactsError(f"answer {answer!r}: the end {self.end!r} stands inside it and cuts it; use another end")
        if self.join == CHAT:
            encodings = iter([self.tokenizer(answer, add_special_tokens=False).input_ids])
        else:
            before, gap = self._split(prompt)
            encodings = self._encodings(gap + answer, before)
        read = None
        for ids in encodings:
            ids = [*ids, *self.end_ids]
            read = self.decode(ids)
            if read == answer:
                return ids
        raise FactsError(
            f"answer {answer!r}: the tokenizer cannot represent it, it reads back as {read!r}; "
            "change the text or use a backbone whose tokenizer covers it"
        )

    @property
    def _is_literal(self) -> bool:
        return self.end not in ("eos", "none")

    def _text(self, ids: list[int], skip_special_tokens: bool = True) -> str:
        options = {"skip_special_tokens": skip_special_tokens, "clean_up_tokenization_spaces": False}
        return cast(str, self.tokenizer.decode(ids, **options))

    def decode(self, ids: list[int]) -> str:
        """The answer's text: special tokens and outer white space removed, a literal end cut off."""
        if not self._is_literal:
            return self._text(ids).strip()
        end = self.end_ids[0]
        if end in ids and self._text([end]) != self._text([end], skip_special_tokens=False):
            # A special token leaves no text to cut at.
            ids = ids[: ids.index(end)]
        gap = "" if self.join == CHAT else self._split("")[1]
        return self._text(ids).removeprefix(gap).split(self.end)[0].strip()


def right_pad(texts: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask int64 `[B, T]`, padded on the right."""
    longest = max(map(len, texts))
    tokens = torch.tensor([text + [0] * (longest - len(text)) for text in texts])
    mask = torch.tensor([[1] * len(text) + [0] * (longest - len(text)) for text in texts])
    return tokens, mask
