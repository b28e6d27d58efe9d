"""`autoseg doctor`: what this machine offers, what is slow on it, and what to do about that."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from autoseg.errors import WorkspaceError
from autoseg.events import Events
from autoseg.options.command import Command, Output, Table, function
from autoseg.options.declaration import OptionalPath, Options, option
from autoseg.options.shared import WORKSPACE
from autoseg.results import Result
from autoseg.wording import counted, listing

if TYPE_CHECKING:
    from autoseg.diagnosis.facts import Facts
    from autoseg.diagnosis.judging import Finding


class DoctorOptions(Options):
    """Say what this machine offers, what is slow on it and why, and what to do about that."""

    workspace: OptionalPath = option(
        "Folder whose disk is looked at; default: runs/.", "--workspace", "-w", default=None, metavar=WORKSPACE.metavar
    )


@dataclass(frozen=True, repr=False)
class DoctorResult(Result):
    """A machine on which autoseg works.

    Attributes:
        facts: what is known about it.
        findings: what is slow, each with what to do.
    """

    facts: "Facts"
    findings: "tuple[Finding, ...]"

    def _in_short(self) -> str:
        return f"slow here: {counted(len(self.findings), 'thing')}" if self.findings else "nothing is slow here"

    def _tables(self) -> Sequence[Table]:
        return describe(self).tables


def run(options: DoctorOptions, events: Events) -> DoctorResult:
    """Find out what this machine offers, and judge it.

    Raises:
        WorkspaceError: nothing can work here; says why.
    """
    from autoseg.diagnosis.gathering import gather
    from autoseg.diagnosis.judging import judge
    from autoseg.runs.found import RUNS

    facts = gather(options.workspace or RUNS)
    findings = judge(facts)
    if fatal := [finding for finding in findings if finding.fatal]:
        for name, value in told(facts):
            events.info(f"{name}: {value}")
        raise WorkspaceError(
            f"autoseg cannot work here: {'; '.join(finding.what for finding in fatal)}",
            remedy=" ".join(finding.remedy for finding in fatal),
        )
    return DoctorResult(facts, findings)


def told(facts: "Facts") -> list[tuple[str, str]]:
    """The facts in words."""
    versions = {**facts.versions}
    own = versions.pop("autoseg", "?")
    shown = ", ".join(f"{name} {version or 'missing'}" for name, version in versions.items())
    extras = {name: f"without {', '.join(missing)}" if missing else "there" for name, missing in facts.missing.items()}
    return [
        ("autoseg", f"{own} on {facts.system}"),
        ("packages", shown),
        ("extras", ", ".join(f"{name} ({state})" for name, state in extras.items())),
        ("processor", _processor(facts)),
        ("graphics", _graphics(facts)),
        ("memory", _memory(facts)),
        ("disk", _disk(facts)),
        ("browser", "can be opened (report --open)" if facts.browser else "cannot be opened from here: copy report.html"),
    ]


def _processor(facts: "Facts") -> str:
    cores = (
        f"{facts.usable_cores} of {facts.cores} cores" if facts.usable_cores != facts.cores else counted(facts.cores, "core")
    )
    quota = "" if facts.quota_cores is None else f", a quota of {facts.quota_cores:g}"
    if facts.torch is None:
        return f"{facts.processor}, {cores}{quota}"
    fast = f"bfloat16 by {listing(facts.torch.bfloat16)}" if facts.torch.bfloat16 else "no bfloat16"
    return f"{facts.processor}, {cores}{quota}, {fast}; torch computes on {counted(facts.torch.threads, 'thread')}"


def _graphics(facts: "Facts") -> str:
    if facts.torch is None:
        return "not known without torch"
    built = f"torch is built for {facts.torch.build or 'the processor alone'}"
    cards = [f"{gpu.name} ({gpu.memory_gb:.0f} GB, {'with' if gpu.bfloat16 else 'no'} bfloat16)" for gpu in facts.torch.gpus]
    cards += ["Apple (MPS)"] if facts.torch.mps else []
    cards = cards or [f"{name} (not used)" for name in facts.nvidia]
    return f"{', '.join(cards) or 'none'}; {built}"


def _memory(facts: "Facts") -> str:
    memory = facts.memory
    parts = [
        None if memory.total is None else f"{memory.total:.1f} GB",
        None if memory.free is None else f"{memory.free:.1f} GB free",
        None if memory.limit is None else f"this container may have {memory.limit:.1f} GB",
        f"{memory.swapped:.1f} GB swapped out" if memory.swapped else None,
    ]
    return ", ".join(part for part in parts if part is not None) or "not known"


def _disk(facts: "Facts") -> str:
    disk = facts.disk
    kind = f" ({disk.file_system}{', on another machine' if disk.network else ''})" if disk.file_system else ""
    return f"{disk.free_gb:.0f} GB free in {disk.folder}{kind}"


def describe(result: DoctorResult) -> Output:
    """The facts as a table, and below it what is slow."""
    title = "This machine"
    lines = [line for finding in result.findings for line in (f"- {finding.what}", f"  {finding.remedy}")]
    lines = ["What is slow here:", *lines] if lines else ["Nothing here keeps autoseg from its full speed."]
    return Output("\n".join(lines), _document(result), [Table(title, ("what", "found"), told(result.facts), headings=False)])


def _document(result: DoctorResult) -> dict[str, Any]:
    facts = asdict(result.facts)
    facts["disk"]["folder"] = str(result.facts.disk.folder)
    return {
        "facts": facts,
        "findings": [{"what": finding.what, "remedy": finding.remedy} for finding in result.findings],
    }


doctor = function(DoctorOptions, run)
COMMAND = Command(DoctorOptions, run, describe, example="autoseg doctor")
