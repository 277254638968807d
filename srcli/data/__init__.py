"""Data: exact degradation, pictures and training patches."""
