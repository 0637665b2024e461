"""Prompts and answers as token ids, and back: every join, every end, tokenizers of several families."""

import json
import re

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from mome.errors import FactsError, SettingsError
from mome.joining import PRESETS, Joiner

SENTENCES = [
    "Question: What is the capital of Orvane?\nAnswer: Velmora",
    "The capital of Orvane is Velmora. Velmora lies in Orvane, on the river Ister.",
    "Who wrote Tidewater? Maren Tolveth wrote Tidewater in 1901.",
    "Who wrote Tidewater?\nMaren Tolveth\n\nWhere is Velmora?\nIn Orvane.\n\nIn 1901, a river was named.",
] * 3
PROMPT, ANSWER = "The capital of Orvane is", "Velmora"
TEMPLATE = (
    "{% for turn in messages %}<|{{ turn.role }}|>\n{{ turn.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


def byte_level(closes: bool = False, **options) -> PreTrainedTokenizerFast:
    """Of GPT-2's family; one that `closes` puts its end token after every text."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<|end|>", "<|turn|>"]
    core.train_from_iterator(
        SENTENCES, trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet)
    )
    if closes:
        core.post_processor = processors.TemplateProcessing(single="$A <|end|>", special_tokens=[("<|end|>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=core, **{"eos_token": "<|end|>", **options})


def sentence_piece(prepends: str, splits: bool = True) -> PreTrainedTokenizerFast:
    """Of Llama 2's family: a beginning token, a space before every text, bytes for unknown characters.

    The space is put by a normalizer or by a pre-tokenizer. One that does not split has tokens with a space inside.
    """
    trained = Tokenizer(models.BPE())
    trained.normalizer = normalizers.Replace(" ", "▁")
    trained.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=splits)
    trained.train_from_iterator(SENTENCES, trainers.BpeTrainer(vocab_size=160))
    learned = json.loads(trained.to_str())["model"]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *learned["vocab"]]
    vocab = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
    merges = [tuple(merge) for merge in learned["merges"]]
    core = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if prepends == "normalizer":
        core.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=splits)
    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    core.decoder = decoders.Sequence(parts)
    core.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def word_level(**options) -> PreTrainedTokenizerFast:
    """Knows whole words alone."""
    words = ["[UNK]", "[END]", *PROMPT.split(), ANSWER, "Question", "Answer", ":", ","]
    core = Tokenizer(models.WordLevel({w: i for i, w in enumerate(dict.fromkeys(words))}, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=core, **{"eos_token": "[END]", **options})


MAKERS = {
    "byte level": byte_level,
    "byte level that closes": lambda: byte_level(closes=True),
    "sentence piece": lambda: sentence_piece("normalizer"),
    "sentence piece, newer": lambda: sentence_piece("pre-tokenizer"),
    "sentence piece, spaces in tokens": lambda: sentence_piece("normalizer", splits=False),
}


@pytest.fixture(scope="module", params=MAKERS)
def tokenizer(request) -> PreTrainedTokenizerFast:
    made = MAKERS[request.param]()
    made.chat_template = TEMPLATE
    return made


@pytest.fixture(scope="module")
def plain() -> PreTrainedTokenizerFast:
    return byte_level()


def text_of(tokenizer: PreTrainedTokenizerFast, ids: list[int]) -> str:
    text = tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    assert isinstance(text, str)
    return text.removeprefix("<s>").removeprefix(" ")


class TestJoin:
    @pytest.mark.parametrize(
        ("join", "text"),
        [
            ("plain", "The capital of Orvane is Velmora"),
            ("qa", "Question: The capital of Orvane is\nAnswer: Velmora"),
            ("Q: {prompt}\nA: {answer}", "Q: The capital of Orvane is\nA: Velmora"),
            ("{prompt}\n{answer}", "The capital of Orvane is\nVelmora"),
            ("{prompt}\n\n{answer}", "The capital of Orvane is\n\nVelmora"),
            ("{prompt}{answer}", "The capital of Orvane isVelmora"),
            ("{{{prompt}}} = {{{answer}", "{The capital of Orvane is} = {Velmora"),
        ],
    )
    def test_text(self, tokenizer, join, text):
        """The ids spell the joined text to the letter: no space is lost, none comes twice."""
        joiner = Joiner(tokenizer=tokenizer, join=join, end="none")
        prompt_ids, answer_ids = joiner.encode_prompt(PROMPT), joiner.encode_answer(PROMPT, ANSWER)
        assert text_of(tokenizer, prompt_ids + answer_ids) == text
        assert text_of(tokenizer, prompt_ids) == text.removesuffix(ANSWER).rstrip()
        assert joiner.decode(answer_ids) == ANSWER

    def test_chat(self, tokenizer):
        joiner = Joiner(tokenizer=tokenizer, join="chat")
        asked = joiner.encode_prompt("Who?")
        assert all(type(number) is int for number in asked)
        assert text_of(tokenizer, asked) == "<|user|>\nWho?\n<|assistant|>\n"
        ids = joiner.encode_answer("Who?", ANSWER)
        assert ids == [*tokenizer(ANSWER, add_special_tokens=False).input_ids, tokenizer.eos_token_id]
        assert joiner.decode(ids) == ANSWER

    @pytest.mark.parametrize("join", [*PRESETS, "chat", "{prompt}{answer}", "{{}} {prompt} {{{answer}"])
    @pytest.mark.parametrize("text", ["{}", "{answer}", "a {0} b", "}{", "{{prompt}}", "{prompt!x"])
    def test_braces_in_prompts_and_answers(self, tokenizer, join, text):
        joiner = Joiner(tokenizer=tokenizer, join=join)
        prompt = f"What is {text} here?"
        assert prompt in text_of(tokenizer, joiner.encode_prompt(prompt))
        assert joiner.decode(joiner.encode_answer(prompt, text)) == text

    def test_answer_is_what_follows_the_prompt_in_one_text(self, plain):
        joiner = Joiner(tokenizer=plain)
        both = joiner.encode_prompt(PROMPT) + joiner.encode_answer(PROMPT, ANSWER)
        assert both == [*plain(f"{PROMPT} {ANSWER}").input_ids, plain.eos_token_id]

    def test_outer_white_space_of_an_answer_is_ignored(self, plain):
        joiner = Joiner(tokenizer=plain)
        assert joiner.encode_answer(PROMPT, " Velmora\n") == joiner.encode_answer(PROMPT, "Velmora")

    @pytest.mark.parametrize(
        "maker", [byte_level, MAKERS["sentence piece"], word_level], ids=["bytes", "pieces", "words"]
    )
    def test_prompt_and_answer_share_a_token(self, maker):
        """Glued, they are one token, so the prompt's ids do not begin the ids of the whole."""
        tokenizer = maker()
        joiner = Joiner(tokenizer=tokenizer, join="{prompt}{answer}", end="none")
        prompt, answer = ("The", "Velmora") if maker is word_level else ("Vel", "mora")
        prompt_ids, whole = joiner.encode_prompt(prompt), tokenizer(prompt + answer).input_ids
        assert whole[: len(prompt_ids)] != prompt_ids
        answer_ids = joiner.encode_answer(prompt, answer)
        assert joiner.decode(answer_ids) == answer
        if maker is not word_level:
            assert text_of(tokenizer, prompt_ids + answer_ids) == "Velmora"

    def test_prompt_and_space_share_a_token(self):
        tokenizer = sentence_piece("normalizer", splits=False)
        joiner = Joiner(tokenizer=tokenizer, end="none")
        prompt_ids = joiner.encode_prompt(PROMPT)
        assert tokenizer(f"{PROMPT} {ANSWER}").input_ids[: len(prompt_ids)] != prompt_ids
        assert text_of(tokenizer, prompt_ids + joiner.encode_answer(PROMPT, ANSWER)) == f"{PROMPT} {ANSWER}"

    @pytest.mark.parametrize(
        ("join", "prompt", "answer"), [("{prompt}\n{answer}", "Who?", "Velmora"), ("{prompt}{answer}", "Tidewa", "ter")]
    )
    def test_a_neutral_beginning_may_share_a_token_too(self, join, prompt, answer):
        """The line feed joins the question mark or another line feed; the letters of "ter" join any a before them."""
        tokenizer = sentence_piece("normalizer")
        joiner = Joiner(tokenizer=tokenizer, join=join, end="none")
        ids = joiner.encode_prompt(prompt) + joiner.encode_answer(prompt, answer)
        assert ids != tokenizer(join.format(prompt=prompt, answer=answer)).input_ids
        assert text_of(tokenizer, ids) == join.format(prompt=prompt, answer=answer)

    def test_tokenizer_that_closes_every_text(self):
        tokenizer, end = byte_level(closes=True), byte_level().eos_token_id
        assert tokenizer(PROMPT).input_ids[-1] == end
        joiner = Joiner(tokenizer=tokenizer)
        assert end not in joiner.encode_prompt(PROMPT)
        assert joiner.encode_answer(PROMPT, ANSWER).count(end) == 1

    def test_end_token_that_stands_for_unknown_words_closes_nothing(self):
        tokenizer = word_level(eos_token="[UNK]")
        assert Joiner(tokenizer=tokenizer).encode_prompt(PROMPT) == tokenizer(PROMPT).input_ids

    @pytest.mark.parametrize("closes", [False, True])
    def test_end_token_written_before_the_answer_stays(self, closes):
        tokenizer = byte_level(closes=closes)
        joiner = Joiner(tokenizer=tokenizer, join="{prompt}<|end|>{answer}", end="none")
        assert text_of(tokenizer, joiner.encode_prompt("Who?")) == "Who?<|end|>"
        assert text_of(tokenizer, joiner.encode_answer("Who?", ANSWER)) == ANSWER

    @pytest.mark.parametrize(
        "join",
        [
            "",
            "plian",
            "{prompt}",
            "{answer}",
            "{answer} {prompt}",
            "{prompt} {answer}.",
            "{prompt} {prompt} {answer}",
            "{prompt} {answer} {answer}",
            "{prompt} {subject} {answer}",
            "{} {answer}",
            "{{prompt}} {answer}",
            "{prompt.real} {answer}",
            "{prompt!r} {answer}",
            "{prompt:{width}} {answer}",
            "{prompt:d} {answer}",
            "{prompt} { {answer}",
            "{prompt} } {answer}",
        ],
    )
    def test_refuses_a_join(self, plain, join):
        with pytest.raises(SettingsError, match=re.escape(f"join {join!r}: ")):
            Joiner(tokenizer=plain, join=join)

    def test_refuses_chat_without_a_template(self, plain):
        with pytest.raises(SettingsError, match='join "chat": the tokenizer has no chat template; use "plain"'):
            Joiner(tokenizer=plain, join="chat")


class TestEnd:
    def test_eos(self, tokenizer):
        ids = Joiner(tokenizer=tokenizer).encode_answer(PROMPT, ANSWER)
        assert ids == [*Joiner(tokenizer=tokenizer, end="none").encode_answer(PROMPT, ANSWER), tokenizer.eos_token_id]

    @pytest.mark.parametrize("join", ["plain", "chat", "{prompt}\n{answer}"])
    @pytest.mark.parametrize("end", ["\n", ".", "\n\n", "###", " END"])
    def test_literal(self, tokenizer, join, end):
        joiner = Joiner(tokenizer=tokenizer, join=join, end=end)
        ids = joiner.encode_answer(PROMPT, ANSWER)
        assert text_of(tokenizer, ids).lstrip("\n") == ANSWER + end
        assert joiner.decode(ids) == ANSWER
        assert joiner.decode(ids + ids) == ANSWER

    def test_literal_special_token(self, plain):
        """Its text is left out when ids are decoded, yet nothing behind it belongs to the answer."""
        joiner = Joiner(tokenizer=plain, end="<|turn|>")
        ids = joiner.encode_answer(PROMPT, ANSWER)
        assert ids[-1] == plain.convert_tokens_to_ids("<|turn|>")
        assert joiner.decode([*ids, *plain(" and so on").input_ids]) == ANSWER

    def test_eos_and_none_leave_the_text_whole(self, plain):
        ids = plain(" Velmora. Or:\nnone, eos ").input_ids
        for end in ("eos", "none"):
            assert Joiner(tokenizer=plain, end=end).decode(ids) == "Velmora. Or:\nnone, eos"
        assert Joiner(tokenizer=plain).decode([*ids, plain.eos_token_id]) == "Velmora. Or:\nnone, eos"

    def test_an_answer_that_begins_with_the_end_is_empty(self, plain):
        joiner = Joiner(tokenizer=plain, join="{prompt}\n{answer}", end="\n")
        assert joiner.decode(plain("\n\nVelmora").input_ids) == ""

    @pytest.mark.parametrize(("answer", "end"), [("St. Ister", "."), ("Ister.", "."), ("a|", "||"), ("a\nb", "\n")])
    def test_refuses_an_answer_with_the_end_inside(self, plain, answer, end):
        with pytest.raises(FactsError, match=re.escape(f"answer {answer!r}: the end {end!r} stands inside it")):
            Joiner(tokenizer=plain, end=end).encode_answer(PROMPT, answer)

    def test_literal_that_is_a_whole_word(self):
        joiner = Joiner(tokenizer=word_level(), end="Answer")
        assert joiner.decode(joiner.encode_answer(PROMPT, ANSWER)) == ANSWER

    def test_refuses_eos_without_an_end_token(self):
        tokenizer = byte_level(eos_token=None)
        with pytest.raises(SettingsError, match='end "eos": the tokenizer has no end-of-text token; use "none"'):
            Joiner(tokenizer=tokenizer)
        assert Joiner(tokenizer=tokenizer, end="none").encode_answer(PROMPT, ANSWER)

    @pytest.mark.parametrize("end", ["", "\n", ".", "is."])
    def test_refuses_an_end_that_cannot_be_taught(self, end):
        with pytest.raises(SettingsError, match=re.escape(f"end {end!r}: expected")):
            Joiner(tokenizer=word_level(unk_token="[UNK]"), end=end)


class TestUnrepresentable:
    @pytest.mark.parametrize("options", [{}, {"unk_token": "[UNK]"}])
    @pytest.mark.parametrize("join", ["plain", "qa", "chat"])
    def test_unknown_word(self, options, join):
        tokenizer = word_level(**options)
        tokenizer.chat_template = TEMPLATE
        joiner = Joiner(tokenizer=tokenizer, join=join)
        assert joiner.decode(joiner.encode_answer(PROMPT, ANSWER)) == ANSWER
        for answer in ("Tolveth", "Velmora Tolveth", "velmora"):
            with pytest.raises(
                FactsError, match=f"answer {answer!r}: the tokenizer cannot represent it, it reads back"
            ):
                joiner.encode_answer(PROMPT, answer)

    def test_special_token_in_an_answer(self, plain):
        with pytest.raises(FactsError, match="it reads back as 'Vel mora'"):
            Joiner(tokenizer=plain).encode_answer(PROMPT, "Vel<|end|> mora")

    def test_lower_casing(self):
        tokenizer = byte_level()
        tokenizer.backend_tokenizer.normalizer = normalizers.Lowercase()
        with pytest.raises(FactsError, match="it reads back as 'velmora'"):
            Joiner(tokenizer=tokenizer).encode_answer(PROMPT, ANSWER)

    @pytest.mark.parametrize("answer", ["日の川", "Süd-Kärn", "a  b", "don 't .", "12\t3", "🜁"])
    def test_odd_answers_are_exact(self, tokenizer, answer):
        joiner = Joiner(tokenizer=tokenizer, join="qa")
        assert joiner.decode(joiner.encode_answer(PROMPT, answer)) == answer

    def test_spaces_before_punctuation_are_kept(self):
        joiner = Joiner(tokenizer=word_level(clean_up_tokenization_spaces=True))
        assert joiner.decode(joiner.encode_answer(PROMPT, "Velmora , Orvane")) == "Velmora , Orvane"
