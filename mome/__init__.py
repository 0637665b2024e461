"""mome: teach a frozen language model facts that it recalls exactly.

>>> import mome
>>> sorted(mome.__all__)
['Fact', 'MoMEConfig', 'MoMEForCausalLM', 'MomeError', 'read_facts']
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from mome.config import MoMEConfig
    from mome.errors import MomeError
    from mome.facts import Fact, read_facts
    from mome.modeling import MoMEForCausalLM

# Names are looked up on first use, so that `import mome` does not wait for torch and transformers.
_HOMES = {
    "MoMEConfig": "mome.config",
    "MomeError": "mome.errors",
    "Fact": "mome.facts",
    "read_facts": "mome.facts",
    "MoMEForCausalLM": "mome.modeling",
}
__all__ = ["Fact", "MoMEConfig", "MoMEForCausalLM", "MomeError", "read_facts"]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'mome' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
