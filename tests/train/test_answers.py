"""Sampling draws with the model's own probabilities, whatever its generation settings say."""

import torch

from mome.decoder import load_backbone
from train.answers import generate_ids


def test_sampled_tokens_are_as_frequent_as_they_are_probable(backbone_folder, tokenizer):
    model = load_backbone(str(backbone_folder))
    model.generation_config.top_k, model.generation_config.temperature = 5, 0.3
    prompt = tokenizer("The river runs").input_ids
    with torch.no_grad():
        probable = model(input_ids=torch.tensor([prompt])).logits[0, -1].softmax(-1)
    torch.manual_seed(0)
    drawn = generate_ids(model, tokenizer, [prompt] * 2000, [1] * 2000, batch_size=500, do_sample=True)
    share = torch.tensor([row[0] for row in drawn]).bincount(minlength=len(probable)) / 2000
    deviation = (probable * (1 - probable) / 2000).sqrt()
    assert ((share - probable).abs() < 5 * deviation + 0.002).all()
    rare = probable < probable.topk(50).values[-1]
    assert abs(float(share[rare].sum() - probable[rare].sum())) < 0.05
    assert probable[rare].sum() > 0.1, "a cut at the likeliest tokens would be seen"


def test_without_sampling_it_is_greedy(backbone_folder, tokenizer):
    model = load_backbone(str(backbone_folder))
    prompt = tokenizer("The river runs").input_ids
    first, second = (generate_ids(model, tokenizer, [prompt], [6]) for _ in range(2))
    with torch.no_grad():
        assert first[0][0] == int(model(input_ids=torch.tensor([prompt])).logits[0, -1].argmax())
    assert first == second
