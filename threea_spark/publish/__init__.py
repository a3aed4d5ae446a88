"""Writes Delta once, with its receipt; a failure leaves nothing half written."""
