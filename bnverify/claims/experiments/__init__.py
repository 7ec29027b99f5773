"""Experiments, one a file: each measures what claims say that no proof settles."""
