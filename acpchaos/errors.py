"""The errors people see: each says what was attempted, what was seen and what to do next.

Room: below every other. It must not know any of them.
"""

EXIT_HELD = 0
EXIT_FAILED = 1
EXIT_USAGE = 4
EXIT_INCONCLUSIVE = 10
EXIT_DIRTY = 11


class AcpchaosError(Exception):
    """Base of all expected errors. `exit_code` is what a command ends with."""

    exit_code = EXIT_INCONCLUSIVE

    def __init__(self, attempted: str, seen: str, next_step: str) -> None:
        super().__init__(f"{attempted}: {seen}\n  next: {next_step}")
        self.attempted, self.seen, self.next_step = attempted, seen, next_step


class UsageError(AcpchaosError):
    """Input the product cannot use; nothing was changed. Exit code 4."""

    exit_code = EXIT_USAGE


class GuardRefused(UsageError):
    """The target is not the pinned, opted-in cluster; nothing was changed. Exit code 4."""


class PreconditionUnmet(AcpchaosError):
    """The target was not healthy enough to start a fault; the run is inconclusive."""


class DeadlinePassed(AcpchaosError):
    """Something awaited did not happen within its budget."""


class TargetLeftDirty(AcpchaosError):
    """A change could not be undone. Exit code 11."""

    exit_code = EXIT_DIRTY
