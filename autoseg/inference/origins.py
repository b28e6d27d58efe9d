"""Where label maps in a folder of results come from, for commands that show numbers about them."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from autoseg.data.naming import image_stem
from autoseg.errors import WorkspaceError
from autoseg.events import Events
from autoseg.inference.folder_table import read_folder
from autoseg.inference.table import PredictionRow
from autoseg.storage import files
from autoseg.wording import some


def warn_of_origins(label_maps: Iterable[Path], events: Events) -> None:
    """Say, where a table of predictions lies beside label maps, that they stem from several models or were changed since.

    Args:
        label_maps: files that exist; those in folders without such a table are nobody's.
        events: notified.
    """
    by_folder: defaultdict[Path, list[Path]] = defaultdict(list)
    for path in label_maps:
        by_folder[path.parent].append(path)
    for folder, paths in by_folder.items():
        rows = rows_beside(folder)
        known = {path: rows[stem] for path in paths if (stem := image_stem(path)) in rows}
        if len({row.model_digest for row in known.values()}) > 1:
            models = sorted({row.model or row.model_digest for row in known.values()})
            events.warn(
                f"the label maps in {folder} stem from {len(models)} different models or settings, so that no mean of their "
                f"scores describes one of them: {'; '.join(models)}"
            )
        if changed := [row.case for path, row in known.items() if files.sha256_file(path) != row.output_sha256]:
            events.warn(f"changed since they were predicted, so that the scores are of the changes, too: {some(changed)}")


def rows_beside(folder: Path) -> dict[str, PredictionRow]:
    """By case; none where there is no such table, or one of another origin."""
    try:
        return read_folder(folder, classes=()).rows
    except WorkspaceError:
        return {}
