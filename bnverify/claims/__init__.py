"""Claims about normalization: proved, refuted with a counterexample, or measured by an experiment."""
