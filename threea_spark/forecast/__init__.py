"""What a budget buys, from public numbers alone: `threea plan`."""
