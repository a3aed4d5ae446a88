"""The command line `threea`."""
