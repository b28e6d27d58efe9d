"""One file to pass on."""
