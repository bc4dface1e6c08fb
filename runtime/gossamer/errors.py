"""What can go wrong, one class a kind. Messages say what, where, expected, found, next step."""


class GossamerError(Exception):
    """Base of every error that this package raises on purpose."""


class InputError(GossamerError, ValueError):
    """An argument does not fit: a name, a shape, a dtype, an option, a NaN in an input."""


class ModelError(GossamerError, ValueError):
    """A model file is truncated, altered, or not a ``.goss`` file."""


class UnsupportedError(GossamerError, NotImplementedError):
    """Valid, but not in this build: a newer file version, an operator, a variant of one."""


class OutOfMemoryError(GossamerError, MemoryError):
    """The engine could not allocate; nothing was kept."""


class ImageError(GossamerError, ValueError):
    """A picture cannot be decoded."""


class MissingFileError(GossamerError, FileNotFoundError):
    """A model, a picture or pictures to evaluate are not where they were looked for."""


class MissingDependencyError(GossamerError, ImportError):
    """An optional package is needed; the message names the extra that installs it."""


class EngineError(GossamerError, RuntimeError):
    """The native library is missing, is another version's, or lost a thread."""
