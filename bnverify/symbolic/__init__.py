"""The symbolic engine: programs and their readings, and the registry of derivations and laws."""

from bnverify.symbolic.registry import Derivation, LawEntry, derivation, derived, law, laws, load

__all__ = ["Derivation", "LawEntry", "derivation", "derived", "law", "laws", "load"]
