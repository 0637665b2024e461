"""Full fine-tuning: what is learned, from which tokens, on which copy, and how a run resumes."""

import doctest
from itertools import islice

import pytest
import torch

import train.baselines.finetune as module
from mome.decoder import load_backbone
from mome.errors import FactsError
from mome.facts import Fact
from train.baselines.finetune import IGNORED, FactBatches, FineTuning, answer_loss, copy_of, fine_tune
from train.baselines.settings import FineTuneSettings

QUICK = FineTuneSettings(learning_rate=3e-3, batch_size=4, warm_up_steps=2)


def batches_of(facts, joiner, batch_size=4, seed=0) -> FactBatches:
    prompts = [joiner.encode_prompt(fact.prompt) for fact in facts]
    answers = [joiner.encode_answer(fact.prompt, fact.answer) for fact in facts]
    return FactBatches(prompts, answers, batch_size, seed)


def recall(method, joiner, facts) -> float:
    said = method.generate([fact.prompt for fact in facts], [40] * len(facts), lambda _num: None)
    return sum(joiner.decode(row) == fact.answer for row, fact in zip(said, facts, strict=True)) / len(facts)


def test_it_learns_all_and_leaves_the_backbone_as_it_was(backbone, joiner, facts, tmp_path):
    facts = facts[:8]
    before = {name: weight.clone() for name, weight in backbone.state_dict().items()}
    method = fine_tune(backbone, joiner, facts, QUICK, tmp_path)
    assert recall(method, joiner, facts) == 1.0
    assert all(torch.equal(weight, before[name]) for name, weight in backbone.state_dict().items())
    assert not any(p.requires_grad for p in backbone.parameters())
    assert method.num_trainable == sum(p.numel() for p in backbone.parameters())
    assert 2 <= method.num_steps < 2 * QUICK.max_epochs  # it stopped by itself, behind a whole epoch
    assert method.num_steps % 2 == 0
    assert method.cpu_seconds > 0


def test_a_copy_has_the_weights_and_not_the_memory(taught):
    backbone = taught.model.backbone
    copied = copy_of(backbone)
    for name, weight in copied.state_dict().items():
        assert torch.equal(weight, backbone.state_dict()[name])
        assert weight.data_ptr() != backbone.state_dict()[name].data_ptr()
    assert all(p.dtype == torch.float32 for p in copied.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in copied.modules())
    tokens = torch.tensor([taught.joiner.encode_prompt(taught.facts[0].prompt)])
    with taught.model.memory_disabled(), torch.no_grad():
        assert torch.equal(copied(tokens).logits, backbone(tokens).logits)


def test_a_copy_of_half_precision_is_fp32(backbone_folder):
    copied = copy_of(load_backbone(str(backbone_folder), dtype=torch.bfloat16))
    assert {p.dtype for p in copied.parameters()} == {torch.float32}


def test_targets_are_the_answers_tokens_and_their_end(facts, joiner):
    batch = batches_of(facts, joiner).batch(list(range(5)))
    for row, fact in enumerate(facts[:5]):
        prompt, answer = joiner.encode_prompt(fact.prompt), joiner.encode_answer(fact.prompt, fact.answer)
        assert answer[-1] == joiner.tokenizer.eos_token_id
        told = (batch["target"][row] != IGNORED).nonzero().flatten().tolist()
        assert told == list(range(len(prompt) - 1, len(prompt) - 1 + len(answer)))
        assert batch["target"][row, told].tolist() == answer
        assert batch["tokens"][row, : len(prompt) + len(answer)].tolist() == prompt + answer
        assert int(batch["mask"][row].sum()) == len(prompt) + len(answer)


def test_no_other_token_moves_the_loss(facts, joiner):
    batch = batches_of(facts, joiner).batch([0, 1, 2])
    torch.manual_seed(0)
    logits = torch.randn(*batch["tokens"].shape, 600, requires_grad=True)
    loss, _ = answer_loss(logits, batch["target"])
    loss.backward()
    moved = logits.grad.abs().sum(-1) > 0
    assert torch.equal(moved, batch["target"] != IGNORED)


def test_the_examples_run():
    assert doctest.testmod(module) == doctest.TestResults(failed=0, attempted=2)


def test_wrong_tokens_are_counted():
    logits = torch.zeros(1, 4, 3)
    logits[0, [1, 2, 3], [2, 0, 1]] = 5.0
    loss, wrong = answer_loss(logits, torch.tensor([[IGNORED, 2, 1, 1]]))
    assert int(wrong) == 1
    assert float(loss) == pytest.approx(-float(logits[0, 1:].log_softmax(-1)[[0, 1, 2], [2, 1, 1]].mean()))


def test_every_epoch_holds_every_fact_once_in_another_order(facts, joiner):
    batches = batches_of(facts[:10], joiner)
    steps = iter(batches)
    epochs = [[row for _ in range(3) for row in next(steps)["tokens"].tolist()] for _ in range(2)]
    strip = [[tuple(token for token in row if token) for row in epoch] for epoch in epochs]
    assert sorted(strip[0]) == sorted(strip[1])
    assert strip[0] != strip[1]
    assert len(set(strip[0])) == 10


def test_a_step_depends_on_its_number_alone(facts, joiner):
    whole, later = (batches_of(facts[:10], joiner) for _ in range(2))
    later.start = 4
    expected = list(islice(whole, 4, 8))
    for batch, other in zip(expected, islice(later, 4), strict=True):
        assert all(torch.equal(batch[name], other[name]) for name in batch)


def run(backbone, joiner, facts, work, **changes):
    settings = FineTuneSettings(**{**vars(QUICK), "checkpoint_every": 3, **changes})
    method = fine_tune(backbone, joiner, facts, settings, work)
    return method, method.generate([fact.prompt for fact in facts], [30] * 8, lambda _num: None)


@pytest.mark.parametrize("stopped_at", [1, 4], ids=["before_a_checkpoint", "behind_one"])
def test_an_interrupted_run_resumes_to_the_same_answers(stopped_at, backbone, joiner, facts, tmp_path, monkeypatch):
    whole, said = run(backbone, joiner, facts[:8], tmp_path / "whole", max_epochs=4)
    step = FineTuning.training_step

    def interrupt(self, batch, index):
        if self.global_step == stopped_at:
            raise RuntimeError("power cut")
        return step(self, batch, index)

    monkeypatch.setattr(FineTuning, "training_step", interrupt)
    with pytest.raises(RuntimeError, match="power cut"):
        run(backbone, joiner, facts[:8], tmp_path / "cut", max_epochs=4)
    monkeypatch.undo()
    resumed, said_again = run(backbone, joiner, facts[:8], tmp_path / "cut", max_epochs=4)
    assert said_again == said
    assert resumed.num_steps == whole.num_steps == 8


def test_a_run_that_had_stopped_by_itself_does_not_go_on(backbone, joiner, facts, tmp_path):
    whole, said = run(backbone, joiner, facts[:8], tmp_path, checkpoint_every=1)
    again, said_again = run(backbone, joiner, facts[:8], tmp_path, checkpoint_every=1)
    assert said_again == said
    assert again.num_steps == whole.num_steps
    assert again.cpu_seconds >= whole.cpu_seconds * 0.5  # the time of the first run was kept


def test_without_stopping_all_epochs_are_run(backbone, joiner, facts, tmp_path):
    method, _ = run(backbone, joiner, facts[:8], tmp_path, stop_at_recall=False, max_epochs=3)
    assert method.num_steps == 6


def test_training_stops_when_its_time_is_over(backbone, joiner, facts, tmp_path):
    method, _ = run(backbone, joiner, facts[:8], tmp_path, stop_at_recall=False, max_cpu_seconds=0.0)
    assert method.num_steps == 0


def test_a_fact_that_does_not_fit_is_named(backbone, joiner, facts, tmp_path):
    long = Fact(id="too-long", prompt="x " * 400, answers=("y",))
    with pytest.raises(FactsError, match="too-long"):
        fine_tune(backbone, joiner, [*facts[:2], long], QUICK, tmp_path)
