"""The released model: distributions, label function and conditions, from which rows are drawn anywhere."""
