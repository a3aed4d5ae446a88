"""Reads the source: its schema, its rows in canonical form, and the rows kept for each unit."""
