"""Evaluates a release on held-out rows: models trained on released rows against models trained on real ones."""
