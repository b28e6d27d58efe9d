"""Images and label maps: read from every format onto one grid, compared, and written back."""
