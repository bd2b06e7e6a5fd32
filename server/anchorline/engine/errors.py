"""Errors of models, with messages for the developer to read."""


class PullError(Exception):
    """A model could not be fetched. The message says why and what to do."""


class UnreachableError(PullError):
    """Where a model comes from can't be reached, or is not to be (offline mode)."""


class UnservableError(Exception):
    """A request that can't be served as it is. The message quotes nothing of it."""


class DamagedModelError(Exception):
    """An installed model is not what was installed. The message names the file and the way out."""


class ConversionError(Exception):
    """A file can't be converted. The message says what in it is unknown or damaged."""
