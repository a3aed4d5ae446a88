"""Releases noisy statistics of the clusters, or mixes rows within them."""
