"""Estimators as scikit-learn and Spark ML know them: parameters, fit, a model to sample from."""
