"""The errors that `mome` raises; each message says what, where, expected, got and how to mend it."""


class MomeError(ValueError):
    """Base of every error that `mome` raises on purpose."""


class FactsError(MomeError):
    """A fact, or a file of facts, is not what it should be."""


class SettingsError(MomeError):
    """An option has a wrong value, or options do not go together."""


class BackboneError(MomeError):
    """The backbone is missing, unsuited, or not the one that the memory was taught on."""


class CheckpointError(MomeError):
    """A checkpoint is incomplete, damaged or of another kind than expected."""
