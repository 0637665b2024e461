"""The mention check: against a plain search, parts of words, spellings, and the subject that a fact has or is given."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mome.mention import (
    MAX_SUBJECT_TOKENS,
    NO_TOKEN,
    NUM_SPELLINGS,
    Mentions,
    find_mention,
    find_subjects,
    spellings,
    subject_of,
    subject_rows,
    word_edges,
)
from tests.mome.readings import holds

NUM_TOKENS = 4
WIDTH = 3
tokens = st.integers(0, NUM_TOKENS - 1)
words = st.lists(tokens, max_size=WIDTH)
edges = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=NUM_TOKENS, max_size=NUM_TOKENS)


@given(st.lists(words, min_size=1, max_size=4), st.lists(tokens | st.just(NO_TOKEN), min_size=1, max_size=12), edges)
def test_a_subject_is_held_where_a_plain_search_finds_it(forms, text, edge):
    table = torch.full((1, len(forms), WIDTH), NO_TOKEN)
    for row, ids in enumerate(forms):
        table[0, row, : len(ids)] = torch.tensor(ids, dtype=torch.int64)
    held = find_subjects(table, torch.tensor([text]), torch.tensor([*edge, (False, False)]))
    asked = [ids for ids in forms if ids]
    for position in range(len(text)):
        expected = not asked or any(holds(text[: position + 1], ids, [*edge], WIDTH) for ids in asked)
        assert bool(held.at(torch.tensor([0]), torch.tensor([position]))) == expected


def test_token_ids_of_a_subject_that_no_tokenizer_has_are_not_held():
    """Those of a damaged checkpoint; and no table is made so wide."""
    subject = torch.tensor([[[2**31 - 1, 3]], [[-(2**31), 3]], [[-2, -1]], [[5, -1]]], dtype=torch.int32)
    mentions = Mentions(subject, torch.zeros(1, 2, dtype=torch.bool), torch.tensor([[5, 3, NO_TOKEN]]), weight=0.5)
    rows, keys = torch.zeros(4, dtype=torch.int64), torch.arange(4)
    assert mentions.held(rows, keys, torch.full((4,), 2)).tolist() == [False, False, False, True]


def test_only_similarities_above_the_bound_are_lowered():
    subject = torch.full((3, 1, 2), NO_TOKEN)
    subject[0, 0], subject[1, 0] = torch.tensor([7, 8]), torch.tensor([7, 9])
    similarity = torch.tensor([[0.9, 0.8, 0.7], [0.9, 0.4, 0.3]])
    key = torch.tensor([[0, 1, 2], [1, 0, 2]])
    mentions = Mentions(subject, torch.zeros(1, 2, dtype=torch.bool), torch.tensor([[5, 7, 8]]), weight=0.5)
    expected = torch.tensor([[0.4, 0.3, 0.7], [0.4, 0.4, 0.3]])
    place = torch.tensor([0, 0]), torch.tensor([1, 2])
    assert torch.allclose(mentions.lower(similarity, key, *place, 0.5), expected)
    mentions.weight = 0.0
    assert torch.equal(mentions.lower(similarity, key, *place, 0.5), similarity)


def test_a_check_in_chunks_is_the_whole_check(monkeypatch):
    torch.manual_seed(0)
    mentions = Mentions(torch.randint(-1, 9, (20, 4, 2)), torch.rand(10, 2) < 0.3, torch.randint(-1, 9, (3, 12)), 1.5)
    similarity, key = torch.rand(21, 5), torch.randint(20, (21, 5))
    place = torch.arange(3).repeat_interleave(7), torch.arange(5, 12).repeat(3)
    whole = mentions.lower(similarity, key, *place, 0.2)
    monkeypatch.setattr("mome.mention.CHUNK_PAIRS", 4)
    mentions = Mentions(mentions.subject, mentions.word_edge, mentions.seen, mentions.weight)
    assert torch.equal(mentions.lower(similarity, key, *place, 0.2), whole)
    assert (whole < similarity).any() and ((whole == similarity) & (similarity > 0.2)).any()


def test_what_was_looked_for_before_changes_no_answer():
    """Pairs are looked for once; others than those are looked for when they are asked for."""
    torch.manual_seed(0)
    tables = torch.randint(-1, 6, (20, 3, 2)), torch.rand(7, 2) < 0.3, torch.randint(-1, 6, (3, 9))
    mentions, told = Mentions(*tables, weight=5.0), set()
    first = torch.arange(3).repeat_interleave(5), torch.arange(15)
    mentions.held_in_all(*first)
    for _ in range(6):
        asked = torch.randint(3, (12,)), torch.randint(20, (12,)), torch.randint(9, (12,))
        held = mentions.held(*asked)
        assert torch.equal(held, Mentions(*tables, weight=5.0).held(*asked))
        told |= set(held.tolist())
    assert told == {False, True}


@pytest.fixture(scope="module")
def word_edge(tokenizer) -> Tensor:
    return word_edges(tokenizer)


def is_mentioned(rows: Tensor, ids: list[int], word_edge: Tensor) -> bool:
    """Whether the subject in a table of one row is held at the end of a text."""
    return bool(find_subjects(rows, torch.tensor([ids]), word_edge).at(torch.tensor([0]), torch.tensor([len(ids) - 1])))


def test_a_subject_is_found_at_the_beginning_inside_and_in_lower_case(tokenizer, word_edge):
    rows = subject_rows(tokenizer, ["Maren Tolveth", "Orvane"], word_edge)
    assert rows.shape == (2, NUM_SPELLINGS, MAX_SUBJECT_TOKENS)
    assert rows.dtype == torch.int32
    for text in (
        "Maren Tolveth lives in",
        "The home of Maren Tolveth is",
        "where does maren tolveth live",
        "maren tolveth",
        "Maren Tolveth's",
        "(Maren Tolveth) lives",
    ):
        ids = tokenizer(text).input_ids
        assert is_mentioned(rows[:1], ids, word_edge), text
        assert not is_mentioned(rows[1:], ids, word_edge), text


@pytest.mark.parametrize(
    ("subject", "text"),
    [("Nintendo DS", "The Nintendo DSi has"), ("ian", "Julian sang"), ("Innocent VII", "Who was Innocent VIII?")],
)
def test_a_part_of_a_word_is_no_mention(subject, text, tokenizer, word_edge):
    """Whether or not a tokenizer parts the word there: the tokens are put side by side as one may."""
    before, after = text[: text.index(subject)], text[text.index(subject) + len(subject) :]
    ids = [token for part in (before, subject, after) for token in tokenizer(part, add_special_tokens=False).input_ids]
    if before.endswith(" "):
        pieces = before.rstrip(), f" {subject}", after
        ids = [token for part in pieces for token in tokenizer(part, add_special_tokens=False).input_ids]
    rows = subject_rows(tokenizer, [subject], word_edge)
    assert not is_mentioned(rows, ids, word_edge)
    assert is_mentioned(rows, ids, torch.zeros_like(word_edge)), "the tokens themselves are there"


def test_word_edges_are_those_of_the_text(tokenizer, word_edge):
    assert word_edge.shape == (len(tokenizer) + 1, 2) and word_edge.dtype == torch.bool
    assert not word_edge[-1].any()
    cases = {"ing": (True, True), " the": (False, True), ".": (False, False), "\n": (False, False)}
    for text, expected in cases.items():
        (token,) = tokenizer(text, add_special_tokens=False).input_ids
        assert tuple(word_edge[token].tolist()) == expected, text
    assert not word_edge[torch.tensor(tokenizer.all_special_ids)].any()


def test_a_subject_without_text_asks_for_nothing(tokenizer, word_edge):
    assert is_mentioned(subject_rows(tokenizer, [""], word_edge), [3], word_edge)
    assert subject_rows(tokenizer, [], word_edge).shape == (0, NUM_SPELLINGS, MAX_SUBJECT_TOKENS)


def test_a_long_subject_is_cut(tokenizer, word_edge):
    assert (subject_rows(tokenizer, ["Orvane " * 40], word_edge)[0, :4] != NO_TOKEN).all()


def test_a_subject_is_always_found_in_its_own_prompt(tokenizer, word_edge):
    """Even where it is a part of a word, or the tokenizer merged it with what stands before it."""
    ids = tokenizer("Who sang in the hall of Orvane?").input_ids
    inner = [text[1:] for text in (tokenizer.decode([token]).strip() for token in ids) if len(text) > 2]
    lost = [subject for subject in inner if find_mention(ids, spellings(tokenizer, [subject])[0]) is None]
    assert lost
    lost += ["Orvan", "rvane", "sang i"]
    rows = subject_rows(tokenizer, lost, word_edge, [ids] * len(lost))
    for row, subject in zip(rows[:, None], lost, strict=True):
        assert is_mentioned(row, ids, word_edge), subject


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
