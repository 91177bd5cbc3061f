class UserError(Exception):
    """A mistake the user can mend: one line that says what happened, why, and what to do next."""

    exit_code = 2
