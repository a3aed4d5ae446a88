"""Judges a release on held-out rows: models trained on its rows against models trained on the real ones."""
