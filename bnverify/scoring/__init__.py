"""The grade of bnverify's own suite: which property catches which seeded fault, and whether right code is refused."""
