"""Names by which a reader recognises files: SimpleITK goes by the ends of names, where the bytes say what a file is."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from autoseg import formats
from autoseg.formats.streams import GZIP_MAGIC, inflate
from autoseg.storage.utf8 import utf8_path


@contextmanager
def name_for_reader(path: Path) -> Iterator[str]:
    """The name of a verified file for its reader: its own where that promises a format, else a link with a format's ending.

    Args:
        path: the file.
    """
    suffix = None if formats.named_format(path) else _suffix(path)
    if suffix is None:
        with utf8_path(path) as named:
            yield str(named)
        return
    with TemporaryDirectory(prefix="autoseg-") as folder:
        link = Path(folder) / f"image{suffix}"
        link.symlink_to(path.resolve())
        yield str(link)


def _suffix(path: Path) -> str | None:
    """The ending that suits what a file holds; None where the reader recognises it anyway, or its voxels lie elsewhere."""
    with path.open("rb") as stream:
        head = stream.read(formats.HEADER_BYTES)
    gzipped = head.startswith(GZIP_MAGIC)
    if gzipped:
        head = next(inflate(path), b"")
    found = formats.find_format(head[: formats.HEADER_BYTES])
    if found is None or not found.suffixes:
        return None
    header = formats.parse(head, path) if found.parse is not None else None
    if header is not None and header.data_file is not None:
        return None
    return next((suffix for suffix in found.suffixes if suffix.endswith(".gz") == gzipped), None)
