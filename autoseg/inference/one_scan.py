"""One scan of many: found to be done already, or read, segmented and written."""

import math
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from autoseg.errors import AutosegError
from autoseg.events import Events
from autoseg.formats.checksum import image_checksum
from autoseg.formats.remarks import remarks
from autoseg.images.geometry import Geometry
from autoseg.images.image import Image, LabelMap, read_labels
from autoseg.inference.dicom_seg import admit_seg, coded_segments, maker_of
from autoseg.inference.doubts import doubts_about
from autoseg.inference.lanes import Messages
from autoseg.inference.memory import share_gb
from autoseg.inference.output_folder import FileDigests, Results, write_outputs
from autoseg.inference.prediction_settings import PredictionSettings
from autoseg.inference.scan_places import scan_cells
from autoseg.inference.scans import Scan
from autoseg.inference.segmenter import Segmentation, Segmenter
from autoseg.inference.table import EXTRAS, PredictionRow, volumes_ml
from autoseg.storage import files


@dataclass(frozen=True)
class SegmentedScan:
    """What was found in a scan, not written yet.

    Attributes:
        scan: where it came from.
        image: the scan.
        found: its label map, and what was asked for besides.
        warnings: what makes it unusual or its result doubtful.
        input_sha256: digest of its files.
    """

    scan: Scan
    image: Image
    found: Segmentation
    warnings: tuple[str, ...]
    input_sha256: str


@dataclass(frozen=True)
class LacksSeg:
    """A scan that was segmented before, and has all that is asked for but its DICOM segmentation.

    Attributes:
        scan: where it came from.
        row: of the earlier call.
    """

    scan: Scan
    row: PredictionRow


@dataclass(frozen=True)
class Outcome:
    """What was done with a scan, and said while it was done.

    Attributes:
        result: the row of an earlier call, where that had done it, perhaps but for one file; what was found; or what went
            wrong.
        messages: to be passed on when its turn has come.
    """

    result: PredictionRow | LacksSeg | SegmentedScan | AutosegError
    messages: Messages = field(default_factory=Messages)


@dataclass(frozen=True)
class ScanWork:
    """Segments scans, several at a time if wanted, and writes what was found.

    Attributes:
        settings: what decides the results.
        results: where they go.
        rows: what is there, by case.
        outputs: digests of what is there.
        events: notified at once, where one scan is in work at a time.
        checksum: that of a file of a scan.
        at_once: scans in work at a time.
        replicas: the same segmenter on further devices, which lanes take in turn.
        begun: cases whose results a killed command may have written without entering them.
    """

    settings: PredictionSettings
    results: Results
    rows: Mapping[str, PredictionRow]
    outputs: FileDigests
    events: Events
    checksum: Callable[[Path], str] = image_checksum
    at_once: int = 1
    replicas: tuple[Segmenter, ...] = ()
    begun: Container[str] = ()

    def __call__(self, scan: Scan, lane: int = 0) -> Outcome:
        """Segment a scan within its share of the memory, on the device of its lane, or find that this was done."""
        segmenters = (self.settings.segmenter, *self.replicas)
        messages, segmenter = Messages(), segmenters[lane % len(segmenters)]
        if self.at_once > 1:
            segmenter = replace(segmenter, memory_gb=share_gb(segmenter.memory_gb, self.at_once))
        try:
            return Outcome(self._segment(scan, segmenter, events=self.events if self.at_once == 1 else messages), messages)
        except AutosegError as error:
            return Outcome(_by_itself(error), messages)

    def alone(self, scan: Scan) -> Outcome:
        """Segment a scan with all the memory there is."""
        return replace(self, at_once=1)(scan)

    def write(self, segmented: SegmentedScan) -> PredictionRow:
        """Write what was found in a scan, without its DICOM segmentation; gives its row of the table."""
        scan, found, results, settings = segmented.scan, segmented.found, self.results, self.settings
        classes = settings.segmenter.ensemble.data.classes
        write_outputs(scan.id, segmented.image, found, results, classes=classes)
        return PredictionRow(
            case=scan.id,
            input_sha256=segmented.input_sha256,
            model_digest=settings.digest,
            model=settings.model,
            calibration_sha256=settings.calibration_sha256,
            output_sha256=files.sha256_file(results.label_map(scan.id)),
            volumes_ml=volumes_ml(found.labels, classes),
            predicted_dice=found.predicted_dice or {},
            warnings="; ".join(segmented.warnings),
            estimated_dice=found.estimated_dice,
            scan=scan_cells(scan, results.folder),
            extras_sha256={name: files.sha256_file(path) for name, path in results.predicted_extras(scan.id).items()},
        )

    def add_seg(self, scan: Scan, row: PredictionRow, labels: LabelMap | None) -> PredictionRow:
        """Write the DICOM segmentation of a scan whose label map is there; gives its row with it.

        Args:
            scan: the scan.
            row: what its label map was made from.
            labels: the label map; None: it is read.

        Raises:
            ImageError: the series does not say what a segmentation must.
            MemoryLimitError: it would take more than is allowed.
            SystemFailureError: the disk is full, or the place may not be written.
        """
        results, settings, path = self.results, self.settings, self.results.dicom_seg(scan.id)
        classes = settings.segmenter.ensemble.data.classes
        if labels is None:
            labels = read_labels(results.label_map(scan.id))
            admit_seg(labels.geometry.shape, classes, memory_gb=settings.segmenter.memory_gb)
        digests = {"input_sha256": row.input_sha256, "output_sha256": row.output_sha256}
        maker = maker_of(settings, classes=classes, **digests)
        if results.write_seg is not None:
            results.write_seg(path, scan.images, labels, segments=coded_segments(classes), maker=maker)
        return replace(row, extras_sha256={**row.extras_sha256, "dicom_seg": files.sha256_file(path)})

    def _segment(self, scan: Scan, segmenter: Segmenter, *, events: Events) -> PredictionRow | LacksSeg | SegmentedScan:
        """Segment one scan, or find that this was done; in that case the earlier row itself comes back.

        Whether it was done is told from the bytes of the scan's files and of what was made of them: they are not decoded.
        """
        settings, results, earlier = self.settings, self.results, self.rows.get(scan.id)
        # Before they are read: whatever changes meanwhile is found to have changed by the next call.
        checksum = image_checksum if scan.series else self.checksum  # to remember every slice would take too much
        digest = files.sha256_json([checksum(path) for path in scan.images])
        unchanged = earlier is not None and earlier.input_sha256 == digest
        if earlier is not None and unchanged and not results.force and self.keeps(earlier, scan):
            if not results.wants_seg(scan) or self._has_seg(earlier, scan):
                return earlier
            events.info(f"{scan.id}: its DICOM segmentation is made of the label map that is there")
            return LacksSeg(scan, earlier)
        if earlier is not None and not unchanged:
            events.warn(
                f"{scan.id}: its files are not those that were segmented under this name before; the new result takes the "
                "place of the earlier one. Where it is another scan, choose another output folder"
            )
        data = segmenter.ensemble.data
        image = scan.read(
            channels=len(data.channels),
            not_finite=settings.not_finite,
            admit=partial(self._admit, scan, segmenter),
        )
        for remark in remarks(image.warnings):
            events.info(f"{scan.id}: {remark}")
        doubts = doubts_about(image)
        for doubt in doubts:
            events.warn(f"{scan.id}: {doubt}")
        if results.probabilities:
            size_gb = 4e-9 * len(data.classes) * math.prod(image.geometry.shape)
            events.info(f"{scan.id}: the probabilities of {len(data.classes)} classes take {size_gb:.2f} GB, uncompressed")
        found = segmenter.segment(
            image,
            with_probabilities=results.probabilities,
            with_uncertainty=results.uncertainty,
            spool=results.folder if self.at_once == 1 else None,  # rather alone, with all the memory
            events=events,
        )
        for warning in found.warnings:
            events.warn(f"{scan.id}: {warning}")
        return SegmentedScan(scan, image, found, (*doubts, *found.warnings), digest)

    def keeps(self, row: PredictionRow, scan: Scan) -> bool:
        """Whether all that is asked for was predicted of a scan with these settings, and is there as it was made.

        Args:
            row: what the table says of it.
            scan: the scan, whose own files are not looked at.

        Raises:
            SystemFailureError: what is there cannot be read.
        """
        settings, results = self.settings, self.results
        if not settings.made(row) or (results.uncertainty and not settings.judged(row)):
            return False
        if not self._holds(results.label_map(scan.id), row.output_sha256):
            return False
        if scan.id in self.begun and self._is_left(row, scan):
            return False
        # Version 0.1 kept no digests of what lies beside the label map.
        kept = row.extras_sha256 if row.model else dict.fromkeys(EXTRAS, "")
        wanted = results.predicted_extras(scan.id)
        return all(name in kept and self._holds(path, kept[name]) for name, path in wanted.items())

    def _is_left(self, row: PredictionRow, scan: Scan) -> bool:
        """Whether files lie beside a label map that its row does not tell of, and that would stay as they are."""
        made_by_itself = {"dicom_seg"} if self.results.wants_seg(scan) else set()
        extras = self.results.extras(scan.id).items()
        return any(
            self.differs(path, row.extras_sha256.get(name, "")) for name, path in extras if name not in made_by_itself
        )

    def _has_seg(self, row: PredictionRow, scan: Scan) -> bool:
        """Whether the DICOM segmentation of a row is there."""
        digest = row.extras_sha256.get("dicom_seg")
        return digest is not None and self._holds(self.results.dicom_seg(scan.id), digest)

    def _admit(self, scan: Scan, segmenter: Segmenter, geometry: Geometry, stored_bytes: int) -> None:
        """Find out whether a scan can be segmented, and its results written, before it is read."""
        segmenter.admit(geometry, stored_bytes, with_uncertainty=self.results.uncertainty)
        if self.results.wants_seg(scan):
            classes = segmenter.ensemble.data.classes
            admit_seg(geometry.shape, classes, memory_gb=segmenter.memory_gb)

    def differs(self, path: Path, sha256: str) -> bool:
        """Whether a file is there with other bytes than these."""
        with files.explain_os_errors(path):
            return path.exists() and self.outputs.of(path) != sha256

    def _holds(self, path: Path, sha256: str) -> bool:
        """Whether a file is there with these bytes; with any, where no digest is known."""
        with files.explain_os_errors(path):
            return path.is_file() and (not sha256 or self.outputs.of(path) == sha256)


def _by_itself(error: AutosegError) -> AutosegError:
    """An error without the calls in which it was raised, whose arrays and tensors would stay where memory is short."""
    error.__traceback__ = error.__context__ = error.__cause__ = None
    return error
