"""Checks whether a session and its cluster can make a release."""
