"""Faults that left the catalogue: each turned out to be right code, with the proof."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files


@cache
def removed() -> Mapping[str, str]:
    """Return the proof by which each fault was removed."""
    text = (files("bnverify.grading") / "removed.toml").read_text(encoding="utf-8")
    return {str(name): str(proof) for name, proof in tomllib.loads(text).items()}
