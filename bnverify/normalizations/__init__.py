"""The other normalizations as targets of a check: layer, group, instance, RMS and weight normalization."""
