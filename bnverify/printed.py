"""Calling printed evaluators: each takes by keyword those values that it names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from bnverify.case import Array

Evaluator = Callable[..., tuple[Array, ...]]


def call(function: Evaluator, values: Mapping[str, Any]) -> tuple[Array, ...]:
    """Call a printed evaluator with those of the values that it takes."""
    return function(**{name: values[name] for name in _parameters(function)})


@lru_cache(maxsize=64)
def _parameters(function: Evaluator) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters)
