"""`autoseg info`: what an exported model is: trained on what, how good, for which scans."""

from typing import TYPE_CHECKING

from autoseg.events import Events
from autoseg.options.command import Command, Output, function
from autoseg.options.declaration import Options, PathOption, argument

if TYPE_CHECKING:
    from autoseg.exporting.card import InfoResult


class InfoOptions(Options):
    """Say what an exported model is: trained on what, how good, and which scans it expects."""

    file: PathOption = argument("An exported model.", metavar="FILE")


def run(options: InfoOptions, events: Events) -> "InfoResult":  # noqa: ARG001 - every command is given them
    """Read and verify an exported model's documents.

    Raises:
        BundleError: not an exported model, damaged, or written by a newer autoseg.
    """
    from autoseg.exporting.card import InfoResult
    from autoseg.exporting.document import describe_exported
    from autoseg.storage import files

    description = describe_exported(options.file)
    return InfoResult(description, files.sha256_file(options.file), options.file.stat().st_size)


def describe(result: "InfoResult") -> Output:
    """What a person needs to know before using the model."""
    from autoseg.exporting.card import describe

    return Output(*describe(result))


info = function(InfoOptions, run)
COMMAND = Command(InfoOptions, run, describe, example="autoseg info brain.autoseg")
