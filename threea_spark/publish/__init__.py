"""Writes the released table once, with its receipt; a failure leaves nothing half written."""
