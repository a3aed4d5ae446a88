"""What a release does after Encode: recipes, how one is chosen, and the rules behind `auto`."""
