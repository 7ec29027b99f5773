"""Reports: one writer each over the same outcomes."""
