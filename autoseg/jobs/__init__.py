"""Work side by side: cores, pools, processes."""
