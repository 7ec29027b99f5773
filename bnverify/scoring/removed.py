"""Faults that left the catalogue, each with the proof that it is right code, and mutations that never came into it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files


@cache
def removed() -> Mapping[str, str]:
    """Return the proof by which each fault was removed."""
    text = (files("bnverify.scoring") / "removed.toml").read_text(encoding="utf-8")
    return {str(name): str(proof) for name, proof in tomllib.loads(text).items()}


@cache
def excluded() -> Mapping[str, str]:
    """Return the mutations that the rules give and that are no faults of their own, and what each is proved to equal."""
    from bnverify.symbolic.mutate import EXCLUDED

    return EXCLUDED
