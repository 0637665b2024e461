"""The router's training texts, its loss against a plain twin, whitening, and the calibration of the gate."""

import random

import pytest
import torch

from mome.joining import Joiner
from mome.router import Router
from train.observe import batches_of, observed
from train.prepare import prepare, read_groups
from train.route import Part, RouteBatch, fit_whitening, route_loss
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
    relations = [groups[number].relation for number in numbers]
    assert len(set(relations)) < len(relations)


def test_whitening_gives_unit_variance(groups, maker, backbone_folder):
    prepared = prepare(BackboneSettings(backbone=str(backbone_folder)))
    layers = prepared.config.feature_layers
    router = Router(len(layers), 64, 64, 4, 8)
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


def test_loss_equals_its_plain_twin():
    torch.manual_seed(0)
    router = Router(1, 16, 16, 2, 4)
    lengths, ends = [5, 4, 6, 6, 7, 3], [4, 3, 3, 2, 4, NOT_USED]  # 2 keys, 3 queries, 1 unrelated
    texts = [torch.randn(length, 16) for length in lengths]
    parts = []
    for numbers in ([1, 5, 0], [2, 3, 4]):
        features = torch.nn.utils.rnn.pad_sequence([texts[n] for n in numbers], batch_first=True)
        mask = torch.arange(features.shape[1]) < torch.tensor([lengths[n] for n in numbers])[:, None]
        unknown = torch.full(mask.shape, float(NOT_USED))
        parts.append(Part(features, mask, torch.tensor([ends[n] for n in numbers]), torch.tensor(numbers), unknown))
    loss, hits = route_loss(router, RouteBatch(parts, num_keys=2, num_facts=3))

    queries = [router.query(text[None], None, None)[0][0] for text in texts]
    keys = torch.stack([queries[0][4], queries[1][3]])
    temperature, null = router.log_temperature.exp(), router.null_similarity

    def cost(query, target):
        logits = torch.cat([query @ keys.T, null[None]]) / temperature
        return -logits.log_softmax(0)[target]

    stored = torch.stack([cost(queries[2][3], 0), cost(queries[3][2], 1)])
    unstored = cost(queries[4][4], 2)
    others = [
        (n, t) for n in (2, 3, 4, 5) for t in range(lengths[n]) if ends[n] == NOT_USED or not 0 <= ends[n] - t <= 1
    ]
    silent = torch.stack([cost(queries[n][t], 2) for n, t in others])
    expected = stored.mean() + unstored + silent.mean() + silent[silent > 0.05].mean()
    assert torch.allclose(loss, expected, rtol=1e-5)
    assert 0 <= float(hits) <= 1


def test_batches_are_of_like_length_and_bounded():
    texts = [[0] * length for length in (3, 500, 7, 9000, 7, 500)]
    batches = batches_of(texts)
    assert sorted(n for batch in batches for n in batch) == list(range(6))
    assert all(len(batch) == 1 or len(batch) * max(len(texts[n]) for n in batch) <= 8192 for batch in batches)


def test_groups_come_from_every_source(facts, shared_data):
    assert len(read_groups(["facts"], facts)) == len(facts)
    both = read_groups(["facts", str(shared_data / "entity_questions")], facts)
    assert len(both) == len(facts) + 10_000
