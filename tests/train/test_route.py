"""The router's training texts, its loss against a plain twin, whitening, and the calibration of the gate."""

import random

import pytest
import torch

from mome.joining import Joiner
from mome.router import NUM_BACKGROUND, Router
from train.observe import batches_of, observed
from train.prepare import prepare, read_groups
from train.route import (
    Part,
    Pool,
    RouteBatch,
    alike_loss,
    fill_background,
    fit_whitening,
    gate_loss,
    queries_of,
)
from train.route_texts import NOT_USED, Neighbourhood, TextMaker, split_groups
from train.settings import BackboneSettings, RouteSettings


@pytest.fixture(scope="module")
def maker(groups, tokenizer) -> TextMaker:
    joiners = [Joiner(tokenizer=tokenizer, join=join) for join in ("plain", "qa")]
    return TextMaker(groups, ["one two three four five six seven", "a b c d e f g"], joiners, RouteSettings())


def test_a_key_text_ends_at_its_prompt(maker, groups, tokenizer):
    rng = random.Random(0)
    for number in range(20):
        text = maker.key_text(number, rng)
        assert text.end == len(text.ids) - 1
        assert groups[number].subject in tokenizer.decode(text.ids)


def test_a_query_text_ends_its_prompt_just_before_the_answer(maker, groups, tokenizer):
    rng = random.Random(0)
    for number in range(40):
        text = maker.query_text(number, rng)
        assert len(text.ids) <= RouteSettings().max_tokens
        after = tokenizer.decode(text.ids[text.end + 1 :], skip_special_tokens=True).strip()
        assert after == groups[number].answer
        assert text.ids.count(tokenizer.bos_token_id) <= 2  # the opening, and the end of the answer


def test_splits_share_no_subject(groups):
    train, held_out = split_groups(groups, 0.1, 0)
    assert not {g.subject for g in train} & {g.subject for g in held_out}
    assert len(train) + len(held_out) == len(groups)
    assert len(held_out) > 10


def test_a_step_holds_hard_neighbours(groups):
    numbers = Neighbourhood(groups).draw(32, random.Random(0))
    assert len(numbers) == len(set(numbers)) == 32
    for name in ("relation", "subject"):
        named = [getattr(groups[number], name) for number in numbers]
        assert len(set(named)) < len(named)


def test_whitening_gives_unit_variance(groups, maker, backbone_folder):
    prepared = prepare(BackboneSettings(backbone=str(backbone_folder)))
    layers = prepared.config.feature_layers
    router = Router(len(layers), 64, 64, 4, 2, 8)
    texts = [maker.key_text(number, random.Random(number)).ids for number in range(60)]
    fit_whitening(router, prepared.backbone, layers, texts)

    seen = []
    for numbers in batches_of(texts):
        states, mask = observed(prepared.backbone, layers, texts, numbers)
        seen.append(router.features(states)[mask])
    features = torch.cat(seen)
    assert features.mean(0).abs().max() < 0.02
    variance = features.var(0)
    assert variance.max() < 1.1
    assert variance.median() > 0.5


@pytest.fixture
def step() -> tuple[Router, RouteBatch, list[torch.Tensor]]:
    """A router and a step: keys of two facts of one subject, three queries, the last without a key, two mentions."""
    torch.manual_seed(0)
    router = Router(1, 16, 16, 3, 2, 4)
    parts = []
    texts = [torch.randn(length, 16) for length in LENGTHS]
    for numbers in ([1, 5, 0], [2, 3, 4, 6]):
        features = torch.nn.utils.rnn.pad_sequence([texts[n] for n in numbers], batch_first=True)
        lengths, ends, mentioned = (torch.tensor([table[n] for n in numbers]) for table in (LENGTHS, ENDS, MENTIONED))
        mask = torch.arange(features.shape[1]) < lengths[:, None]
        unknown = torch.full(mask.shape, float(NOT_USED))
        parts.append(Part(features, mask, ends, torch.tensor(numbers), mentioned, unknown))
    batch = RouteBatch(parts, torch.tensor(SUBJECTS), torch.tensor([0, 1, 1]), num_keys=2)
    return router, batch, [router.query(text[None], None, None)[0][0] for text in texts]


LENGTHS, ENDS = [5, 4, 6, 6, 7, 3, 4], [4, 3, 3, 2, 4, NOT_USED, NOT_USED]
MENTIONED, SUBJECTS = [1, 0, 1, 0, 2, 0, 3], [0, 0, 0, 0, 1, 0, 1]


def test_every_query_is_its_texts_own(step):
    router, batch, queries = step
    ends, silent = queries_of(router, batch)
    for number in range(5):
        assert torch.allclose(ends[number], queries[number][ENDS[number]], atol=1e-6)
    expected = [
        (n, t)
        for n in (5, 2, 3, 4, 6)
        for t in range(MENTIONED[n], LENGTHS[n])
        if ENDS[n] == NOT_USED or not 0 <= ENDS[n] - t <= 1
    ]
    assert sorted(silent.text.tolist()) == sorted(n for n, _ in expected)
    wanted = torch.stack([queries[n][t][-8:] for n, t in sorted(expected)])
    assert torch.allclose(silent.relation[silent.text.argsort(stable=True)], wanted, atol=1e-6)


def test_the_gates_loss_equals_its_plain_twin(step):
    router, batch, _ = step
    ends, silent = queries_of(router, batch)
    got = gate_loss(router, batch, ends[:, -8:], silent)
    temperature, null = router.log_temperature.exp(), router.null_similarity

    def cost(relation, text, target):
        logits = [key[-8:] @ relation if SUBJECTS[text] == 0 else torch.tensor(-torch.inf) for key in ends[:2]]
        return -(torch.stack([*logits, null]) / temperature).log_softmax(0)[target]

    stored = torch.stack([cost(ends[2][-8:], 2, 0), cost(ends[3][-8:], 3, 1)])
    unstored = cost(ends[4][-8:], 4, 2)
    texts = silent.text.tolist()
    other = torch.stack([cost(row, text, 2) for row, text in zip(silent.relation, texts, strict=True)])
    in_mention = torch.tensor([text >= 5 for text in texts])
    near = other > 0.05
    assert near.any() and (near & in_mention).any() and not near.all()
    expected = stored.mean() + unstored + other.mean() + other[near].mean() + other[near & in_mention].mean()
    assert torch.allclose(got, expected, rtol=1e-5)


def test_finding_ones_like_equals_its_plain_twin():
    ends = torch.nn.functional.normalize(torch.randn(7, 4, generator=torch.Generator().manual_seed(0)), dim=-1)
    name = torch.tensor([0, 1, 1, 0, 1, 2, 0])  # three keys, four queries, one of which has nothing like it
    costs = []
    for query in (3, 4, 6):
        weight = (ends[:3] @ ends[query] / 0.1).exp()
        costs.append(-(weight[name[:3] == name[query]].sum() / weight.sum()).log())
    assert torch.allclose(alike_loss(ends, name, 3, torch.tensor(0.1)), torch.stack(costs).mean(), rtol=1e-5)


def test_nothing_alike_gives_finite_gradients():
    ends = torch.nn.functional.normalize(torch.randn(4, 4), dim=-1).requires_grad_()
    alike_loss(ends, torch.tensor([0, 1, 0, 5]), 2, torch.tensor(0.1)).backward()
    assert ends.grad is not None and ends.grad.isfinite().all()


def test_the_background_holds_every_relation(groups, maker):
    router = Router(1, 16, 16, 3, 2, 4)
    keys = [[maker.key_text(number, random.Random(number))] for number in range(len(groups))]
    pool = Pool(keys, [], [], seed=0)
    pool.neighbourhood = Neighbourhood(groups)
    pool.features = {id(text): torch.randn(len(text.ids), 16) for (text,) in keys}
    fill_background(router, pool, seed=0)
    filled = router.background.norm(dim=-1) > 0
    assert int(filled.sum()) == min(len(groups), NUM_BACKGROUND)
    first = [router.query(pool.features[id(text)][None], None, None)[0][0, -1, -8:] for (text,) in keys]
    nearest = (router.background[: len(pool.neighbourhood.by_relation)] @ torch.stack(first).T).argmax(1)
    assert len({groups[number].relation for number in nearest.tolist()}) == len(pool.neighbourhood.by_relation)


def test_batches_are_of_like_length_and_bounded():
    texts = [[0] * length for length in (3, 500, 7, 9000, 7, 500)]
    batches = batches_of(texts)
    assert sorted(n for batch in batches for n in batch) == list(range(6))
    assert all(len(batch) == 1 or len(batch) * max(len(texts[n]) for n in batch) <= 8192 for batch in batches)


def test_groups_come_from_every_source(facts, shared_data):
    assert len(read_groups(["facts"], facts)) == len(facts)
    both = read_groups(["facts", str(shared_data / "entity_questions")], facts)
    assert len(both) == len(facts) + 10_000
