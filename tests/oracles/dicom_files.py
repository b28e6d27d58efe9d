"""DICOM series as a scanner would export them, written slice by slice."""

import locale
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

_MR_STORAGE = "1.2.840.10008.5.1.4.1.1.4"


def write_series(
    folder: Path,
    volume: NDArray[np.int16],
    *,
    spacing_mm: tuple[float, float, float] = (1.5, 0.9, 0.8),
    origin_mm: tuple[float, float, float] = (-10.0, 20.0, 30.0),
    number: int = 7,
    heights_mm: Mapping[int, float] | None = None,
    left_out: Sequence[int] = (),
    names: str = "IM{:04d}",
) -> list[Path]:
    """Write the slices of a volume (Z, Y, X) as files of one series, the last slice under the first name.

    Args:
        folder: where to.
        volume: intensities.
        spacing_mm: (Z, Y, X).
        origin_mm: (x, y, z) of the first voxel.
        number: of the series.
        heights_mm: slices that lie elsewhere than they should, with where.
        left_out: slices without a file.
        names: pattern of the file names.
    """
    folder.mkdir(parents=True, exist_ok=True)
    uid = f"1.2.826.0.1.3680043.8.498.{number}"
    image = sitk.GetImageFromArray(volume)
    image.SetSpacing(spacing_mm[::-1])
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    writer.SetImageIO("GDCMImageIO")
    paths = []
    for index in range(len(volume)):
        if index in left_out:
            continue
        height = (heights_mm or {}).get(index, origin_mm[2] + index * spacing_mm[0])
        path = folder / names.format(len(volume) - index)
        _write_slice(
            writer,
            image[:, :, index],
            path,
            {
                "0008|0016": _MR_STORAGE,
                "0008|0018": f"{uid}.{index + 1}",
                "0008|0060": "MR",
                "0018|0050": str(spacing_mm[0]),
                "0020|000d": f"{uid}.99",
                "0020|000e": uid,
                "0020|0011": str(number),
                "0020|0013": str(index + 1),
                "0020|0032": f"{origin_mm[0]}\\{origin_mm[1]}\\{height}",
                "0020|0037": "1\\0\\0\\0\\1\\0",
            },
        )
        paths.append(path)
    return paths


def _write_slice(writer: Any, pixels: Any, path: Path, tags: Mapping[str, str]) -> None:
    for tag, value in tags.items():
        pixels.SetMetaData(tag, value)
    writer.SetFileName(f"{path}.dcm")  # its format is chosen by name; scanners often use none
    before = locale.setlocale(locale.LC_ALL)
    writer.Execute(pixels)
    locale.setlocale(locale.LC_ALL, before)  # writing, unlike reading, leaves the C locale behind
    path.with_name(f"{path.name}.dcm").rename(path)
