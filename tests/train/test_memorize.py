"""Teaching chunk by chunk: the same bank as in one piece, numbered through."""

import torch

from train.memorize import memorize_all


def test_chunks_are_numbered_through(taught, write_settings, tmp_path):
    """Rows that do not depend on the random states of a chunk are those of one chunk for all."""
    given = taught.model, taught.joiner, taught.facts, write_settings
    (whole, _), (parts, measured) = (
        memorize_all(*given, tmp_path / str(size), seed=0, chunk_facts=size) for size in (100, 7)
    )
    for name in ("token", "fact", "key_expert", "subject", "word_edge"):
        assert torch.equal(getattr(parts, name), getattr(whole, name)), name
    assert torch.allclose(parts.keys, whole.keys, atol=1e-5)
    assert parts.up.shape == whole.up.shape and len(measured["margin"]) == parts.num_experts
    assert parts.fact.unique().tolist() == list(range(len(taught.facts)))
    assert torch.equal(parts.fact[parts.key_expert.long()], torch.arange(len(taught.facts), dtype=torch.int32))
