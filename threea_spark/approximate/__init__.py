"""Fits a mixture of size-constrained components by noisy sums."""
