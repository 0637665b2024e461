"""The bare backbone as a method."""

from mome.decoder import load_backbone
from train.answers import generate_ids
from train.baselines.bare import bare


def test_it_says_what_the_backbone_says(backbone_folder, taught):
    method = bare(load_backbone(str(backbone_folder)), taught.joiner)
    prompts = [fact.prompt for fact in taught.facts[:6]]
    ids = [taught.joiner.encode_prompt(prompt) for prompt in prompts]
    with taught.model.memory_disabled():
        expected = generate_ids(taught.model, taught.joiner.tokenizer, ids, [6] * 6)
    assert method.generate(prompts, [6] * 6, lambda _num: None) == expected
    assert (method.cpu_seconds, method.num_steps, method.num_trainable) == (0.0, 0, 0)
