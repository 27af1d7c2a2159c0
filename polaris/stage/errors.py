"""The one exception that a person, not a programmer, is meant to read."""


class UserError(ValueError):
    """Something outside the code is wrong: one sentence with what, where (file, key, row) and what to do.

    A verb prints it without a traceback and exits with status 1 (`polaris.stage.stage.run_verb`).
    """
