"""Judges released rows on real held-out rows; internal figures, never published with the release."""
