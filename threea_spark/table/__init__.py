"""Reads the source at a pinned version and bounds the rows of each unit."""
