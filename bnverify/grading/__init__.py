"""The grade of a user's tests: which seeded faults they let pass, and whether they refuse right code."""
