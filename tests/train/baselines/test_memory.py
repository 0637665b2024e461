"""The memory as a method."""

from train.baselines.memory import memory


def test_it_says_what_was_taught_and_counts_the_experts(taught):
    method = memory(taught.model, taught.joiner, cpu_seconds=2.5, num_steps=7)
    said = method.generate([fact.prompt for fact in taught.facts], [40] * len(taught.facts), lambda _num: None)
    assert [taught.joiner.decode(row) for row in said] == [fact.answer for fact in taught.facts]
    assert (method.cpu_seconds, method.num_steps) == (2.5, 7)
    bank = taught.model.bank
    assert method.num_trainable == bank.num_experts * taught.model.config.d_model
