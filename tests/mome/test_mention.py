"""The mention check: against a plain search, spellings, and the subject that a fact has or is given."""

from itertools import pairwise

import torch
from hypothesis import given
from hypothesis import strategies as st

from mome.mention import (
    MAX_SUBJECT_TOKENS,
    NO_TOKEN,
    NUM_SPELLINGS,
    Mentions,
    find_mention,
    first_held,
    missing,
    spellings,
    subject_of,
    subject_rows,
)

words = st.lists(st.integers(0, 6), max_size=5)


@given(st.lists(words, min_size=1, max_size=4), words, st.integers(0, 6))
def test_a_subject_is_missing_where_no_spelling_is_held(forms, text, position):
    table = torch.full((1, len(forms), 5), NO_TOKEN)
    for row, ids in enumerate(forms):
        table[0, row, : len(ids)] = torch.tensor(ids)
    seen = torch.tensor([text + [NO_TOKEN] * 2])
    held = text[: position + 1]
    pairs = set(pairwise(held))
    found_in = []
    for ids in forms:
        found = [token in held if place == 0 else (ids[place - 1], token) in pairs for place, token in enumerate(ids)]
        found_in.append(bool(ids) and all(found))
    expected = any(forms) and not any(found_in)
    assert bool(missing(table, first_held(table, seen), torch.tensor([position]))) == expected


def test_only_similarities_above_the_bound_are_lowered():
    subject = torch.full((3, 1, 2), NO_TOKEN)
    subject[0, 0], subject[1, 0] = torch.tensor([7, 8]), torch.tensor([7, 9])
    similarity = torch.tensor([[[0.9, 0.8, 0.7], [0.9, 0.4, 0.3]]])
    key = torch.tensor([[[0, 1, 2], [1, 0, 2]]])
    mentions = Mentions(subject, torch.tensor([[5, 7, 8]]), weight=0.5)
    expected = torch.tensor([[[0.4, 0.3, 0.7], [0.4, 0.4, 0.3]]])
    assert torch.allclose(mentions.lower(similarity, key, 0.5), expected)
    off = Mentions(subject, mentions.seen, weight=0.0)
    assert torch.equal(off.lower(similarity, key, 0.5), similarity)


def test_a_check_in_chunks_is_the_whole_check(monkeypatch):
    torch.manual_seed(0)
    mentions = Mentions(torch.randint(-1, 9, (20, 4, 3)), torch.randint(-1, 9, (3, 12)), 1.5)
    similarity, key = torch.rand(3, 7, 5), torch.randint(20, (3, 7, 5))
    whole = mentions.lower(similarity, key, 0.2)
    monkeypatch.setattr("mome.mention.CHUNK_PAIRS", 4)
    assert torch.equal(mentions.lower(similarity, key, 0.2), whole)
    assert (whole < similarity).any()


def test_a_subject_is_found_at_the_beginning_inside_and_in_lower_case(tokenizer):
    rows = subject_rows(tokenizer, ["Maren Tolveth", "Orvane"])
    assert rows.shape == (2, NUM_SPELLINGS, MAX_SUBJECT_TOKENS)
    assert rows.dtype == torch.int32
    for text in (
        "Maren Tolveth lives in",
        "The home of Maren Tolveth is",
        "where does maren tolveth live",
        "maren tolveth",
    ):
        seen = torch.tensor([tokenizer(text).input_ids])
        last = torch.tensor([seen.shape[1] - 1])
        assert not missing(rows[:1], first_held(rows[:1], seen), last), text
        assert missing(rows[1:], first_held(rows[1:], seen), last), text


def test_a_subject_without_text_asks_for_nothing(tokenizer):
    rows = subject_rows(tokenizer, [""])
    assert not missing(rows, first_held(rows, torch.tensor([[3]])), torch.tensor([0]))
    assert subject_rows(tokenizer, []).shape == (0, NUM_SPELLINGS, MAX_SUBJECT_TOKENS)


def test_a_long_subject_is_cut(tokenizer):
    assert (subject_rows(tokenizer, ["Orvane " * 40])[0, :4] != NO_TOKEN).all()


def test_a_subject_is_always_found_in_its_own_prompt(tokenizer):
    """Even where the tokenizer merged it with what stands before it."""
    ids = tokenizer("Who sang in the hall of Orvane?").input_ids
    merged = [text[1:] for text in (tokenizer.decode([token]).strip() for token in ids) if len(text) > 2]
    lost = [subject for subject in merged if find_mention(ids, spellings(tokenizer, [subject])[0]) is None]
    assert lost
    rows = subject_rows(tokenizer, lost, [ids] * len(lost))
    held = first_held(rows, torch.tensor([ids] * len(lost)))
    assert not missing(rows, held, torch.full((len(lost),), len(ids) - 1)).any()


def test_find_mention_gives_the_span(tokenizer):
    ids = tokenizer("The home of Maren Tolveth is").input_ids
    start, stop = find_mention(ids, spellings(tokenizer, ["Maren Tolveth"])[0])
    assert tokenizer.decode(ids[start:stop]).strip() == "Maren Tolveth"
    assert find_mention(ids, spellings(tokenizer, ["Orvane"])[0]) is None


class TestSubjectOf:
    def test_the_named_subject_counts_if_the_prompt_has_it(self, tokenizer):
        ids = tokenizer("the home of ORVANE is").input_ids
        logits = torch.full((len(ids),), -1.0)
        assert subject_of("the home of ORVANE is", "Orvane", ids, logits, tokenizer) == "Orvane"
        assert subject_of("the home of ORVANE is", "Velmora", ids, logits, tokenizer) != "Velmora"

    def test_else_the_tokens_that_the_router_marks(self, tokenizer):
        text = "Did Ann of Orvane sing?"
        ids = tokenizer(text).input_ids
        logits = torch.full((len(ids),), -1.0)
        for name in ("Ann", "Orvane"):
            logits[slice(*find_mention(ids, spellings(tokenizer, [name])[0]))] = 1.0
        assert subject_of(text, None, ids, logits, tokenizer) == "Ann Orvane"

    def test_at_least_one_token_and_never_a_special_one(self, tokenizer):
        ids = tokenizer("Orvane").input_ids
        ids = [tokenizer.bos_token_id, *(token for token in ids if token != tokenizer.bos_token_id)]
        logits = torch.arange(len(ids), 0, -1).float() - 99.0
        assert subject_of("Orvane", None, ids, logits, tokenizer) == tokenizer.decode([ids[1]]).strip()
