"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write ``text`` to a file; what is there is replaced at once when all is written. A device or pipe is written to.

    Raises:
        OSError: it cannot be written; a file that was there is as it was.
    """
    if path.exists() and not path.is_file():
        _ = path.write_text(text, encoding="utf-8")
        return
    place = path.resolve()  # what a link leads to is replaced, not the link
    beside = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        _ = beside.write_text(text, encoding="utf-8")
        _ = beside.replace(place)
    finally:
        with suppress(OSError):
            beside.unlink()
