"""Adapters: one way of offering batch normalization a file, recognized by shape, imported only when needed."""

from bnverify.adapters.recognition import ADAPTERS, subject_of

__all__ = ["ADAPTERS", "subject_of"]
