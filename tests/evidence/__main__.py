"""`python -m tests.evidence [ROWS ...]`: makes docs/evidence.md anew, from the rows kept beside it or from new ones.

New rows replace those of the same table in `docs/evidence.jsonl`; of tables that they do not hold the old rows stay.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.evidence.page import PAGE, ROWS, read_rows, rendered


def main(files: list[str]) -> int:
    """0 when the page was written, 2 when a file of rows cannot be read."""
    try:
        fresh = [json.loads(line) for name in files for line in Path(name).read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        print(f"rows cannot be read: {error}", file=sys.stderr)
        return 2
    rows = read_rows()
    if fresh:
        tables = {row["table"] for row in fresh}
        rows = [row for row in rows if row["table"] not in tables] + fresh
        ROWS.write_text("".join(json.dumps(row, sort_keys=True) + "\n" for row in rows), encoding="utf-8")
    PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8"), rows), encoding="utf-8")
    print(f"{PAGE.name}: {len(rows)} rows", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
