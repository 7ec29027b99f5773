"""Seeded faults: program mutations and structural faults, by name. Which property must catch which stands at the property."""
