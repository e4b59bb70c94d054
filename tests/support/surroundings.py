"""What settings are read from, all of it a test's own."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

__all__ = ["surroundings"]


@contextmanager
def surroundings(
    folder: Path,
    environment: Mapping[str, str] | None = None,
    dotenv: str | None = None,
    secrets: Mapping[str, str] | None = None,
) -> Iterator[None]:
    """Environment, `.env` and secret files, and nothing else; everything is put back afterwards."""
    place = folder / "secrets"
    place.mkdir(exist_ok=True)
    for name, value in (secrets or {}).items():
        (place / name).write_text(value, encoding="utf-8")
    if dotenv is not None:
        (folder / ".env").write_text(dotenv, encoding="utf-8")
    before, here = dict(os.environ), Path.cwd()
    os.environ.update({"KILLSWITCH_SECRETS_DIR": str(place), **(environment or {})})
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(here)
        os.environ.clear()
        os.environ.update(before)
        for file in (folder / ".env", *place.iterdir()):
            file.unlink(missing_ok=True)
