"""The steps: pure, typed in, typed out."""
