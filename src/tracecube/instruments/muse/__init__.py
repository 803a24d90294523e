"""MUSE: 24 image-slicer spectrographs at the VLT."""
