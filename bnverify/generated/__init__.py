"""Printed source: written by `bnverify generate`, committed, never edited."""
