"""What the tests of the baselines share."""

import pytest

from mome.decoder import load_backbone
from mome.joining import Joiner


@pytest.fixture
def backbone(backbone_folder):
    return load_backbone(str(backbone_folder))


@pytest.fixture
def joiner(tokenizer):
    return Joiner(tokenizer=tokenizer)
