"""The error that train.py and evaluate.py print instead of a traceback."""


class UserError(ValueError):
    """An error that the user can fix. Its message is one sentence: what was found, what was expected, what to do."""


def in_words(error):
    """An exception as a sentence; the system's errors without their number: "runs: Permission denied"."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__


def expect(condition, sentence):
    if not condition:
        raise UserError(sentence)
