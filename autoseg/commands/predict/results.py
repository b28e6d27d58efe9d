"""What `autoseg predict` writes, by its options: what draws and what writes DICOM is loaded where it is asked for."""

from typing import TYPE_CHECKING

from autoseg.commands.predict.options import PredictOptions

if TYPE_CHECKING:
    from autoseg.inference.dicom_seg import WriteSeg
    from autoseg.inference.output_folder import DrawCase, Results


def results_of(options: PredictOptions) -> "Results":
    """What the output folder is to hold.

    Raises:
        UsageError: a package that writes what is asked for is missing.
    """
    from autoseg.inference.output_folder import Results

    return Results(
        options.target,
        probabilities=options.probabilities,
        uncertainty=options.uncertainty,
        draw=_drawer() if options.pictures else None,
        write_seg=_seg_writer() if options.dicom_seg else None,
        force=options.force,
    )


def _drawer() -> "DrawCase":
    from autoseg.reporting.case_image import draw_case

    return draw_case


def _seg_writer() -> "WriteSeg":
    from autoseg.catalogue.extras import require_extra

    require_extra("dicom-seg", "DICOM segmentations")
    from autoseg.images.dicom_seg import write_seg

    return write_seg
