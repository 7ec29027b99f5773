"""The claims, a family a file: each states what a text says, and the parts that settle it."""
