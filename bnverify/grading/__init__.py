"""Grading: is a suite of checks any good? It is run on every seeded fault and on right code."""
