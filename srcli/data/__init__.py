"""Data: exact degradation, images and training patches."""
