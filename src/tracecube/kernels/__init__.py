"""The verbs: arrays in, arrays out. Imports nothing of the project."""
