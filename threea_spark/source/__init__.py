"""Reads the source: its schema, its rows in canonical form, and the rows of each unit that are kept."""
