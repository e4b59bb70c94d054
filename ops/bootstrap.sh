# Sourced by the executables beside it: finds a Python that fits and makes .venv ready.
# Sets `root` (the tree) and `python` (the one in .venv). POSIX sh, so that it runs on a bare machine.

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
python=$root/.venv/bin/python

find_python() {
  unfit=
  for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11; do
    command -v "$candidate" >/dev/null 2>&1 || continue
    answer=$("$candidate" -c '
import sys
if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    print("is Python %d.%d" % sys.version_info[:2])
else:
    try:
        import ensurepip, venv
        print("fits")
    except ImportError as error:
        print("has no %s (on Debian: apt install python3-venv)" % error.name)
' 2>/dev/null) || continue
    if [ "$answer" = fits ]; then
      found=$candidate
      return 0
    fi
    unfit="$unfit $candidate $answer;"
  done
  echo "set-up: Python 3.11, 3.12 or 3.13 with venv and pip is needed;${unfit:- no python3 is on PATH;}" \
    "install one, or name one: PYTHON=/path/to/python3 $0" >&2
  return 1
}

bootstrap() {  # runtime|dev
  find_python || exit 1
  "$found" "$root/ops/bootstrap.py" "$1" || exit
}
