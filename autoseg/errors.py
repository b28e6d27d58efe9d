"""Every failure a user may see: what happened, where, and what to do next.

Only the command line turns these into exit codes; everything else raises them or, in loops over cases and runs, records
them and goes on. A programming mistake stays a ValueError or TypeError and ends as exit code 1.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from autoseg.wording import counted


class AutosegError(Exception):
    """Root of all failures with a cure.

    Args:
        what: what is wrong, in one plain sentence without a full stop.
        remedy: what the user can do next, as one sentence.
        where: the file, folder or case concerned.
        expected: what should have been there.
        found: what was there instead.
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        what: str,
        *,
        remedy: str,
        where: Path | str | None = None,
        expected: object = None,
        found: object = None,
    ) -> None:
        self.what = what
        self.remedy = remedy
        self.where = None if where is None else str(where)
        self.expected = None if expected is None else str(expected)
        self.found = None if found is None else str(found)
        super().__init__(what)

    @property
    def message(self) -> str:
        """What is wrong, without the remedy."""
        parts = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.expected is not None:
            parts.append(f"expected {self.expected}")
        if self.found is not None:
            parts.append(f"found {self.found}")
        return "; ".join(parts)

    def __str__(self) -> str:
        return f"{self.message}. {self.remedy}"

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions cross process borders by their arguments, and these are keywords.
        return _rebuild, (type(self), self.__dict__.copy())

    def as_dict(self) -> dict[str, object]:
        """The error as plain data, for `--json`."""
        fields = {"what": self.what, "where": self.where, "expected": self.expected, "found": self.found}
        return {"error": type(self).__name__, "exit_code": self.exit_code, **fields, "remedy": self.remedy}


def _rebuild(kind: type[AutosegError], state: Mapping[str, Any]) -> AutosegError:
    error = kind.__new__(kind)
    Exception.__init__(error, state["what"])
    error.__dict__.update(state)
    return error


class UsageError(AutosegError):
    """The command was called with something that cannot be done."""

    exit_code = 2


class DatasetError(AutosegError):
    """The data set as a whole does not hold together."""

    exit_code = 3


class ImageError(DatasetError):
    """One file is not an image, is damaged, or does not fit its case."""


class ProblemsError(DatasetError):
    """Several things are wrong with a data set.

    Args:
        problems: ids of the cases concerned with what is wrong, in the order found; a case may come several times.
        where: folder of the data set.
    """

    def __init__(self, problems: Sequence[tuple[str, AutosegError]], *, where: Path) -> None:
        self.problems = tuple(problems)
        super().__init__(
            f"{counted(len(problems), 'problem')} in {counted(len({case for case, _ in problems}), 'case')}",
            where=where,
            remedy="Fix or remove the listed files and run the same command again.",
        )

    @property
    def message(self) -> str:
        """How many problems there are, and each on a line of its own."""
        return "\n".join([f"{super().message}:", *(f"  {case}: {error}" for case, error in self.problems)])

    def __str__(self) -> str:
        return f"{self.message}\n{self.remedy}"

    def as_dict(self) -> dict[str, object]:
        """The error as plain data, with one entry per problem."""
        return {**super().as_dict(), "problems": [{"case": case, **error.as_dict()} for case, error in self.problems]}


class PlanError(AutosegError):
    """The plan is missing, unreadable or contradicts itself."""

    exit_code = 4


class WorkspaceError(AutosegError):
    """Configuration, workspace or lock: this run does not fit what is already there."""

    exit_code = 5


class ExtensionError(AutosegError):
    """A package that registers something of its own with autoseg cannot be used."""

    exit_code = 5


class BundleError(AutosegError):
    """A model on disk is missing, damaged or of another kind than expected."""

    exit_code = 6


class MemoryLimitError(AutosegError):
    """Using a model would take more memory than is allowed; found before any of it is taken."""

    exit_code = 6


class CasesFailedError(AutosegError):
    """Some cases failed; the others are done and written.

    Args:
        failures: the failed cases' ids with their errors, in the order met.
        done: how many cases succeeded.
        result: what would have been given back, of the cases that succeeded; None: nothing.
        remedy: what the user can do next.

    Attributes:
        document: the result as data, for `--json`; None: there is none.
    """

    exit_code = 7

    def __init__(
        self,
        failures: Sequence[tuple[str, AutosegError]],
        *,
        done: int,
        result: Any = None,
        remedy: str = "Fix the listed cases and run the same command again; finished ones are skipped.",
    ) -> None:
        self.failures = tuple(failures)
        self.done = done
        self.result = result
        self.document: Mapping[str, Any] | None = None
        others = f"{done} succeeded and are written" if done else "none succeeded"
        super().__init__(f"{counted(len(failures), 'case')} failed, {others}", remedy=remedy)

    @property
    def message(self) -> str:
        """How many cases failed, and each failure on a line of its own."""
        return "\n".join([f"{self.what}:", *(f"  {case}: {error}" for case, error in self.failures)])

    def __str__(self) -> str:
        return f"{self.message}\n{self.remedy}"

    def as_dict(self) -> dict[str, object]:
        """The error as plain data, with one entry per failed case, and the result of the others."""
        result = {} if self.document is None else {"result": self.document}
        return {**super().as_dict(), "failures": {case: error.as_dict() for case, error in self.failures}, **result}


class TrainingError(AutosegError):
    """Training cannot go on: the loss is not finite, or a worker died."""

    exit_code = 8


class ProcessEndedError(TrainingError):
    """A process, or the workers that a cluster gave it to, ended before its work did, without saying why."""


class LostRankError(TrainingError):
    """A process that trains together with others cannot go on, because another one of them has ended.

    Attributes:
        told: whether another process tells the user why.
    """

    told: bool = False

    @classmethod
    def of(cls, *, told: bool) -> "LostRankError":
        """The error with its words."""
        error = cls(
            "another process of this training has ended, or cannot be reached any more",
            remedy="The same command continues from the last epoch.",
        )
        error.told = told
        return error


class SystemFailureError(AutosegError):
    """The system failed: disk full, no permission, no memory."""

    exit_code = 9


class InterruptedRunError(AutosegError):
    """Stopped by Ctrl-C or SIGTERM at a point from which the same command goes on."""

    exit_code = 130
