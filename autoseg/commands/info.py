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
    from autoseg.exporting.card import read_info

    return read_info(options.file)


def describe(result: "InfoResult") -> Output:
    """What a person needs to know before using the model."""
    from autoseg.exporting.card import describe

    return Output(*describe(result))


info = function(InfoOptions, run)
COMMAND = Command(InfoOptions, run, describe, example="autoseg info brain.autoseg")
