"""Applying trained models to whole scans."""
