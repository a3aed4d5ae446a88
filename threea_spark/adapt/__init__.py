"""Adapt: moves the cluster centres, and learns their labels, so that kernel regression on them fits the rows."""
