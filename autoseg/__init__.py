"""Self-configuring segmentation of medical images in 2D."""
