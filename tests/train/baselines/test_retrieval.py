"""Retrieval: which facts are found, how they stand before a question, and what of the answer counts."""

import pytest
import torch

from mome.decoder import load_backbone, load_tokenizer
from mome.facts import Fact
from mome.joining import Joiner
from train.baselines.retrieval import WIDTH, Retriever, encode_behind, encode_fitting, first_line, retrieval
from train.baselines.settings import RetrievalSettings


@pytest.fixture
def retriever(facts, tokenizer) -> Retriever:
    return Retriever(facts, tokenizer, seed=0)


def test_a_fact_is_nearest_to_its_own_prompt(retriever, facts):
    found = retriever.nearest([fact.prompt for fact in facts], 3)
    assert [row[0] for row in found] == list(range(len(facts)))
    assert all(len(set(row)) == 3 for row in found)


def test_most_paraphrases_find_their_fact(retriever, facts):
    asked = [(number, text) for number, fact in enumerate(facts) for text in fact.paraphrases]
    found = retriever.nearest([text for _, text in asked], 1)
    assert sum(row == [number] for row, (number, _) in zip(found, asked, strict=True)) > 0.6 * len(asked)


def test_rare_tokens_decide(tokenizer):
    prompts = ["The capital of Zonu is", "The capital of Mirabu is", "The capital of Kelve is", "Kelve lies near"]
    made = [Fact(id=str(n), prompt=prompt, answers=("x",)) for n, prompt in enumerate(prompts)]
    asked = "Tell me, is Mirabu the capital of all?"
    assert Retriever(made, tokenizer, 0).nearest([asked], 1) == [[1]]


def test_embeddings_are_unit_vectors_fixed_by_the_seed(retriever, facts, tokenizer):
    prompts = [fact.prompt for fact in facts]
    embedded = retriever.embed(prompts)
    assert embedded.shape == (len(facts), WIDTH)
    assert torch.allclose(embedded.norm(dim=1), torch.ones(len(facts)))
    assert torch.equal(embedded, Retriever(facts, tokenizer, seed=0).embed(prompts))
    assert not torch.equal(embedded, Retriever(facts, tokenizer, seed=1).embed(prompts))


def test_a_prompt_of_unknown_tokens_is_near_nothing(tokenizer):
    known = Retriever([Fact(id="1", prompt="Zonu", answers=("x",))], tokenizer, 0)
    assert known.embed(["字"]).abs().sum() == 0
    assert known.nearest(["字", "Zonu"], 1) == [[0], [0]]


def test_fewer_facts_than_asked_for_are_all_found(facts, tokenizer):
    assert sorted(Retriever(facts[:2], tokenizer, 0).nearest([facts[0].prompt], 5)[0]) == [0, 1]


@pytest.mark.parametrize(
    ("join", "expected"),
    [
        ("plain", "A is B {1}\nC is D\nE is"),
        ("qa", "Question: A is\nAnswer: B {1}\nQuestion: C is\nAnswer: D\nQuestion: E is\nAnswer:"),
        ("<{prompt}> {{-}} {answer}", "<A is> {-} B {1}\n<C is> {-} D\n<E is> {-}"),
    ],
)
def test_facts_stand_before_the_question_as_they_are_joined(join, expected, tokenizer):
    found = [Fact(id="1", prompt="A is", answers=("B {1}",)), Fact(id="2", prompt="C is", answers=("D",))]
    joiner = Joiner(tokenizer=tokenizer, join=join)
    ids = encode_behind(joiner, found, "E is")
    assert tokenizer.decode(ids, skip_special_tokens=True) == expected
    assert ids.count(tokenizer.bos_token_id) == joiner.encode_prompt("E is").count(tokenizer.bos_token_id)
    assert encode_behind(joiner, [], "E is") == joiner.encode_prompt("E is")


def test_in_a_chat_they_open_the_users_turn(backbone_folder):
    tokenizer = load_tokenizer(str(backbone_folder))
    tokenizer.chat_template = "{% for m in messages %}[{{ m.role }}] {{ m.content }}{% endfor %} [answer]"
    found = [Fact(id="1", prompt="A is", answers=("B",))]
    ids = encode_behind(Joiner(tokenizer=tokenizer, join="chat"), found, "E is")
    assert tokenizer.decode(ids) == "[user] A is B\nE is [answer]"


def test_the_farthest_facts_give_way_to_the_context(facts, tokenizer):
    joiner = Joiner(tokenizer=tokenizer)
    found, prompt = facts[:3], facts[0].prompt
    whole = encode_behind(joiner, found, prompt)
    assert encode_fitting(joiner, found, prompt, len(whole)) == whole
    assert encode_fitting(joiner, found, prompt, None) == whole
    assert encode_fitting(joiner, found, prompt, len(whole) - 1) == encode_behind(joiner, found[1:], prompt)
    assert encode_fitting(joiner, found, prompt, 1) == joiner.encode_prompt(prompt)


def test_what_the_backbone_reads_ends_with_the_nearest_fact(facts, tokenizer, backbone_folder, monkeypatch):
    """The question's own fact stands right before it, and answer and context fit together."""
    read = []

    def keep(_model, _tokenizer, prompts, num_new, advance):
        read.extend(prompts)
        return [[] for _ in prompts]

    monkeypatch.setattr("train.baselines.retrieval.generate_ids", keep)
    backbone = load_backbone(str(backbone_folder))
    method = retrieval(backbone, Joiner(tokenizer=tokenizer), facts, RetrievalSettings(num_retrieved=20))
    method.generate([fact.prompt for fact in facts], [100] * len(facts), lambda _num: None)
    for ids, fact in zip(read, facts, strict=True):
        lines = tokenizer.decode(ids, skip_special_tokens=True).split("\n")
        assert lines[-2:] == [f"{fact.prompt} {fact.answer}", fact.prompt]
        assert len(ids) + 100 <= backbone.config.max_position_embeddings
        assert 2 < len(lines) < 21


def test_an_answer_is_one_line(tokenizer):
    ids = tokenizer("\n Ada Quist\nQuestion:", add_special_tokens=False).input_ids
    assert tokenizer.decode(first_line(tokenizer, ids)) == "\n Ada Quist"
    assert first_line(tokenizer, ids[:-1])[-1] != ids[-1]
    whole = [*tokenizer(" Ada Quist", add_special_tokens=False).input_ids, tokenizer.eos_token_id]
    assert first_line(tokenizer, whole) == whole
    assert first_line(tokenizer, []) == []
