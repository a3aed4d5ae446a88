"""Configuration of a release: its fields, tables and domain, and how they are read from YAML."""
