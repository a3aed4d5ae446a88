"""Where rows are: Delta tables, packed rows, and the passes over them, on Spark or in memory."""
