"""`autoseg export`: what predicts in a workspace, as one file to pass on."""

import shlex
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING

from autoseg.events import Events
from autoseg.options.command import Command, Output, function
from autoseg.options.declaration import OptionalPath, Options, PathOption, argument, option
from autoseg.options.shared import VERIFY, WORKSPACE
from autoseg.wording import counted

if TYPE_CHECKING:
    from autoseg.exporting.export import ExportResult


class ExportOptions(Options):
    """Write what predict would use as one file, which works elsewhere: autoseg predict IN OUT --model FILE."""

    file: PathOption = argument("The file to write, ending in .autoseg.")
    _: KW_ONLY
    workspace: OptionalPath = option(WORKSPACE, default=None)
    onnx: OptionalPath = option("Also write an ONNX model per network into this folder.", default=None, metavar="DIR")
    verify: bool = option(VERIFY, default=False)
    force: bool = option("Replace files that are there.", default=False)


def run(options: ExportOptions, events: Events) -> "ExportResult":
    """Write what `predict` would use, and read it back.

    Raises:
        BundleError: nothing usable was trained, or what was written cannot be read back.
        UsageError: the file is there already, or the ONNX packages are not installed.
    """
    from autoseg.runs.found import workspace_folder

    folder = workspace_folder(options.workspace)  # a wrong name is told before the rest is loaded

    from autoseg.exporting.export import check_request, write_export
    from autoseg.runs.workspace import Workspace

    check_request(options.file, onnx=options.onnx, force=options.force)
    workspace = Workspace(folder, verify=options.verify)
    return write_export(workspace, options.file, onnx=options.onnx, force=options.force, events=events)


def describe(result: "ExportResult") -> Output:
    """What went into the file."""
    description = result.description
    folders = [bundle.id.folder for bundle in description.bundles.values()]
    lines = [
        f"{counted(len(folders), 'network')}: {', '.join(folders)}",
        *(
            f"  {model.path}: probabilities differ from torch by at most {model.largest_difference:.1e}; "
            f"slices in multiples of {model.multiple_px} px, from {model.smallest_px}"
            for model in result.onnx
        ),
        f"Wrote {description.path} ({result.bytes / 1e6:.1f} MB)",
        f"Elsewhere: autoseg predict IN OUT --model {shlex.quote(description.path.name)}",
    ]
    document = {
        "file": str(description.path),
        "bytes": result.bytes,
        "models": list(description.bundles),
        "onnx": [
            {
                "file": str(model.path),
                "largest_difference": model.largest_difference,
                "multiple_px": model.multiple_px,
                "smallest_px": model.smallest_px,
            }
            for model in result.onnx
        ],
    }
    return Output("\n".join(lines), document)


export = function(ExportOptions, run)
COMMAND = Command(ExportOptions, run, describe, example="autoseg export brain.autoseg --workspace runs/IBSR18")
