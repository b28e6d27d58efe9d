"""DICOM: folders of slices become scans.

Files are examined one by one (`slice`), put together to series wherever they lie (`series`), taken apart where one holds
several volumes (`parts`, `stacks`, `copies`), called after what tells them apart (`naming`), and read as volumes (`volume`).
"""
