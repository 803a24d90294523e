"""Data reduction for integral-field spectrographs: d = A f + b + n."""
