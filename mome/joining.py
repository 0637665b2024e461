"""How prompt and answer are joined into what the backbone reads, and how an answer is read back."""

from __future__ import annotations

import string
from dataclasses import dataclass

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
            string with `{prompt}` and, at its end, `{answer}`.
        end: what is taught after the answer: `"eos"` (end of text), `"none"` (nothing: the text goes on) or a literal.

    Raises:
        SettingsError: the join or the end cannot be used with this tokenizer.
    """

    tokenizer: PreTrainedTokenizerBase
    join: str = "plain"
    end: str = "eos"

    def __post_init__(self) -> None:
        if self.join == CHAT:
            if not getattr(self.tokenizer, "chat_template", None):
                raise SettingsError(
                    'join "chat": the tokenizer has no chat template; use "plain", "qa" or a format string'
                )
        else:
            self._check_format()
        if self.end == "eos" and self.tokenizer.eos_token_id is None:
            raise SettingsError('end "eos": the tokenizer has no end-of-text token; use "none" or a literal text')

    def _check_format(self) -> None:
        text = PRESETS.get(self.join, self.join)
        try:
            fields = [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]
        except ValueError as error:
            raise SettingsError(f"join {self.join!r}: not a format string ({error})") from None
        if sorted(fields) != ["answer", "prompt"] or not text.endswith("{answer}"):
            raise SettingsError(
                f"join {self.join!r}: expected plain, qa, chat, or a text with {{prompt}} once and {{answer}} once at "
                "its end, such as 'Q: {prompt}\\nA: {answer}'"
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
            return self.tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
        return self._encode(self._split(prompt)[0])

    def _encode(self, text: str) -> list[int]:
        ids = self.tokenizer(text).input_ids
        # Some tokenizers close every text with their end token, which would end the prompt before its answer.
        if ids and ids[-1] == self.tokenizer.eos_token_id and len(ids) > 1:
            ids = ids[:-1]
        return ids

    def encode_answer(self, prompt: str, answer: str) -> list[int]:
        """Token ids of the answer as it follows the prompt, with its end.

        Raises:
            FactsError: the tokenizer cannot represent the answer.
        """
        if self.join == CHAT:
            ids = self.tokenizer(answer, add_special_tokens=False).input_ids
        else:
            before, gap = self._split(prompt)
            prompt_ids, all_ids = self._encode(before), self._encode(before + gap + answer)
            if all_ids[: len(prompt_ids)] == prompt_ids:
                ids = all_ids[len(prompt_ids) :]
            else:
                ids = self.tokenizer(gap + answer, add_special_tokens=False).input_ids
        if self.decode(ids) != answer.strip():
            raise FactsError(
                f"answer {answer!r}: the tokenizer cannot represent it, it reads back as {self.decode(ids)!r}; "
                "change the text or use a backbone whose tokenizer covers it"
            )
        return ids + self._end_ids()

    def _end_ids(self) -> list[int]:
        if self.end == "none":
            return []
        if self.end == "eos":
            return [self.tokenizer.eos_token_id]
        return self.tokenizer(self.end, add_special_tokens=False).input_ids

    def decode(self, ids: list[int]) -> str:
        """The answer's text: special tokens and outer white space removed, a literal end cut off."""
        text = self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        if self.end not in ("eos", "none"):
            text = text.split(self.end)[0]
        return text.strip()
