"""VTK's legacy format: nothing is verified; files are read where a table of cases names them."""

import re

from autoseg.formats.format import Format

VTK = Format(
    name="VTK",
    magic=re.compile(rb"# vtk"),
)
