"""How a release is configured: its fields, tables and domain, and how they are read from YAML."""
