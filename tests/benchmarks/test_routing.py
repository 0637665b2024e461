"""`mome bench routing`, end to end with next to no training."""

import json

import pytest
import torch

import benchmarks.record
from benchmarks import routing_end_to_end
from benchmarks.routing import VARIANTS, LastState, main
from mome.config import MoMEConfig
from mome.errors import SettingsError
from train.calibrate import SHARES
from train.settings import RouteSettings


@pytest.mark.slow
def test_variants_are_trained_measured_and_recorded(shared_data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(benchmarks.record, "RESULTS", tmp_path)
    names = ["last state, not pooled", "no rivals", "no mention texts", "layer 0 alone", "language-model loss instead"]
    options = ["--steps", "2", "--groups", "60", "--unseen", "30", "--folder", str(shared_data)]
    options += ["--variants", json.dumps(names)]
    main([*options, "--work", str(tmp_path / "work")])
    flat = json.loads(capsys.readouterr().out.splitlines()[-1])
    result = json.loads((tmp_path / "routing_selected.json").read_text())["result"]
    assert list(result) == names
    for name, row in result.items():
        assert row.keys() == {"threshold", "margin", *SHARES, *(f"counterfact_{share}" for share in SHARES)}
        assert flat[f"{name.replace(' ', '_')}_open_and_right"] == row["open_and_right"]
    assert result["no rivals"]["margin"] == 2
    assert len({json.dumps(row) for row in result.values()}) == len(names), "a variant changes something"


def test_every_variant_names_settings_that_there_are():
    for variant in VARIANTS.values():
        assert vars(RouteSettings()).keys() >= variant.settings.keys()
        assert MoMEConfig().to_dict().keys() >= variant.config.keys()
        assert set(variant.losses) <= {"subject", "relation", "gate", "mention", routing_end_to_end.NAME}


def test_a_router_without_pooling_reads_one_token_alone():
    torch.manual_seed(0)
    router = LastState(1, 16, 16, 3, 2, 4)
    hidden = torch.randn(1, 5, 16)
    whole, _ = router([hidden])
    assert torch.allclose(whole[:, 3:4], router([hidden[:, 3:4]])[0], atol=1e-6)


def test_an_unknown_variant_is_refused():
    with pytest.raises(SettingsError, match=r"--variants \['none'\]: expected some of default, last state"):
        main(["--variants", "[none]"])
