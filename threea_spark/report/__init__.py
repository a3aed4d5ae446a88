"""Reports what was released and under which guarantee, in one HTML file without scripts or network access."""
