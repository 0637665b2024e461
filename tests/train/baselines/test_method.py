"""What all methods have in common: one interface, and no memory that answers in another's name."""

import pytest

from mome.decoder import load_backbone
from mome.errors import BackboneError
from train.baselines.bare import bare
from train.baselines.finetune import fine_tune
from train.baselines.knn_lm import knn_lm
from train.baselines.lora import lora
from train.baselines.memory import memory
from train.baselines.retrieval import retrieval
from train.baselines.settings import FineTuneSettings, KNNLMSettings, LoRASettings, RetrievalSettings

MAKERS = {
    "bare": lambda backbone, joiner, facts, _work: bare(backbone, joiner),
    "fine-tuning": lambda *all_of: fine_tune(*all_of[:3], FineTuneSettings(max_epochs=1), all_of[3]),
    "lora": lambda *all_of: lora(*all_of[:3], LoRASettings(max_epochs=1), all_of[3]),
    "knn-lm": lambda backbone, joiner, facts, _work: knn_lm(backbone, joiner, facts, KNNLMSettings()),
    "retrieval": lambda backbone, joiner, facts, _work: retrieval(backbone, joiner, facts, RetrievalSettings()),
}


@pytest.fixture(params=[*MAKERS, "memory"])
def method(request, taught, backbone_folder, tmp_path):
    if request.param == "memory":
        return memory(taught.model, taught.joiner, cpu_seconds=1.0, num_steps=1)
    backbone = load_backbone(str(backbone_folder))
    return MAKERS[request.param](backbone, taught.joiner, taught.facts[:8], tmp_path)


def test_every_method_has_the_same_interface(method, taught, request):
    prompts = [fact.prompt for fact in taught.facts[:5]]
    num_new, done = [3, 1, 7, 2, 5], []
    said = method.generate(prompts, num_new, done.append)
    assert method.name == request.node.callspec.params["method"]
    assert [type(row) for row in said] == [list] * 5
    assert all(len(row) <= num for row, num in zip(said, num_new, strict=True))
    assert all(type(token) is int for row in said for token in row)
    assert sum(done) == len(prompts)
    assert method.generate(prompts[2:3], [7], lambda _num: None) == said[2:3]


def test_only_what_is_trained_has_a_cost(method):
    trained = method.name in ("fine-tuning", "lora", "memory")
    assert (method.num_steps > 0) == (method.num_trainable > 0) == trained
    assert (method.cpu_seconds > 0) == (method.name != "bare")


@pytest.mark.parametrize("name", ["bare", "retrieval"])
def test_a_backbone_with_a_memory_is_refused(name, taught, tmp_path):
    with pytest.raises(BackboneError, match="memory attached"):
        MAKERS[name](taught.model.backbone, taught.joiner, taught.facts, tmp_path)
