"""What a check of a site finds: `ok`, `WARN` or `FAIL`, what was seen, and for what is not ok which file and key to change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ostinato.files import UserError

OK, WARN, FAIL = "ok", "WARN", "FAIL"


@dataclass(frozen=True)
class Finding:
    """One line of the report. `todo` says what to do; it is empty where nothing is to be done."""

    level: str
    check: str
    found: str
    todo: str = ""

    @property
    def line(self) -> str:
        """As it is printed."""
        return f"{self.level:<4}  {self.check}: {self.found}" + (f"; {self.todo}" if self.todo else "")


def ok(check: str, found: str) -> Finding:
    """All is well, or it is said for information."""
    return Finding(OK, check, found)


def warn(check: str, found: str, todo: str) -> Finding:
    """A run may go wrong here."""
    return Finding(WARN, check, found, todo)


def fail(check: str, found: str, todo: str) -> Finding:
    """A run will go wrong here."""
    return Finding(FAIL, check, found, todo)


def guarded(name: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """What a check finds; a check that breaks down is a finding itself, so that the others go on."""
    try:
        yield from check()
    except UserError as error:
        yield fail(name, str(error), "")
    except Exception as error:  # whatever a site has that nobody thought of
        yield fail(name, f"not checked: {type(error).__name__}: {' '.join(str(error).split())}", "please report this")
