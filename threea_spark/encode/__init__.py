"""Maps rows to packed integer vectors on a public grid, and back to the source's columns."""
