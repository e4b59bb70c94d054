"""`python -m ops` is the command `killswitch`, as is `python -m ops.cli`."""

from __future__ import annotations

import sys

from ops.cli import main

if __name__ == "__main__":
    sys.exit(main())
