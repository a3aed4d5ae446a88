"""Tells people what was released and under which guarantee, in one HTML file without script or network."""
