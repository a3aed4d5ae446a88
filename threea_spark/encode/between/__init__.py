"""Rules between columns: how a source row becomes coded columns, and how drawn rows become rows that keep the rules."""
