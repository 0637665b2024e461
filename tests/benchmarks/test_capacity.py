"""`mome bench capacity`, end to end in small."""

import json

import pytest

import benchmarks.capacity as module
import benchmarks.record
from benchmarks.capacity import main


@pytest.mark.slow
def test_parameters_and_bits_are_counted(tmp_path, shared_data, monkeypatch, capsys):
    for each in (benchmarks.record, module):
        monkeypatch.setattr(each, "RESULTS", tmp_path)
    sizes = ["--mome_ranks", "[0,1]", "--lora_ranks", "[1]", "--mome_facts", "[2,4]", "--lora_facts", "[3]"]
    options = [*sizes, "--lora.max_epochs", "1", "--folder", str(shared_data), "--work", str(tmp_path / "work")]
    main(options)
    flat = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert flat == json.loads((tmp_path / "capacity.json").read_text())["result"]
    for rank in (0, 1):
        for num in (2, 4):
            prefix = f"mome_rank_{rank}_{num}"
            assert flat[f"{prefix}_exact"] == num
            num_tokens, rest = divmod(flat[f"{prefix}_num_parameters"], 256 * max(1, 2 * rank))
            assert rest == 0 and 15 * num < num_tokens <= 33 * num
            bits = flat[f"{prefix}_bits_per_parameter"] * flat[f"{prefix}_num_parameters"]
            assert bits == pytest.approx(165.4 * num, rel=0.01), "all of them, for every answer is certain"
    assert flat["lora_rank_1_3_exact"] == 0
    assert flat["lora_rank_1_3_num_parameters"] == 6 * 3 * (256 + 512)
    assert all((tmp_path / f"capacity{suffix}").stat().st_size > 0 for suffix in (".png", ".svg"))
