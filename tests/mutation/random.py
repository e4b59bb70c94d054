"""Breaks that invented inputs, orders and interleavings bring to light, and an hour of ordinary trouble."""

from __future__ import annotations

from tests.mutation.base import Mutant

_STATEFUL = "tests/random/test_functions_stateful.py"
_LINEAR = "tests/random/test_linearizability_real.py"
_STORE = "tests/random/test_fuzz_store.py"
_JOBS = "tests/random/test_fuzz_jobs.py"
_FUNCTIONS = "tests/random/test_fuzz_functions.py"
_SOAK = "tests/soak/test_soak.py"
_QUICK = "tests/contract/test_quick_files.py"

MUTANTS = [
    Mutant(
        "reset-of-any-epoch",
        "P8",
        "killswitch/store/lua/ks_reset.lua",
        "if to_epoch(args[1]) ~= current or current ~= looked_at then",
        "if not to_epoch(args[1]) then",
        (_STATEFUL, "-k", "redis and promises"),
        "a late reset undoes a newer engagement",
    ),
    Mutant(
        "reset-of-any-epoch-in-a-race",
        "P8",
        "killswitch/store/lua/ks_reset.lua",
        "if to_epoch(args[1]) ~= current or current ~= looked_at then",
        "if not to_epoch(args[1]) then  --",
        (_LINEAR, "-k", "redis and racing"),
        "operators who race undo each other's stops",
    ),
    Mutant(
        "reset-of-a-guessed-epoch",
        "P8",
        "killswitch/store/lua/ks_reset.lua",
        "if to_epoch(args[1]) ~= current or current ~= looked_at then",
        "if to_epoch(args[1]) ~= current then",
        (_STATEFUL, "-k", "redis and looked_at"),
        "a stop by hand is undone by somebody who never saw it",
    ),
    Mutant(
        "limit-that-is-none-is-no-limit",
        "P5",
        "killswitch/store/lua/ks_reset.lua",
        "local ttl = to_epoch((args[4] or '') == '' and '0' or args[4])",
        "local ttl = to_epoch(args[4] or '') or 0",
        (_FUNCTIONS, "-k", "redis and time_limit"),
        "whoever types 8h instead of milliseconds permits trading for ever",
    ),
    Mutant(
        "wrong-type-stops-the-record",
        "S6 S13",
        "killswitch/store/lua/common.lua",
        "if not says(reply, 'WRONGTYPE') and not says(reply, 'exhausted') then error(reply) end",
        "error(reply)",
        (_STATEFUL, "-k", "redis and promises"),
        "a list under the ledger and no engagement has an epoch any more",
    ),
    Mutant(
        "audit-forgotten-by-the-counter",
        "S6 P10",
        "killswitch/store/lua/common.lua",
        "return math.min(math.max(counter(n), audited(n), to_epoch(kept[1]) or 0) + step, MAX_EPOCH)",
        "return math.min(math.max(to_epoch(ledger_fields(n, { 'epoch' })[1]) or 0, to_epoch(kept[1]) or 0) + step, "
        "MAX_EPOCH)",
        (_STATEFUL, "-k", "redis and promises"),
        "an epoch is used twice after the ledger was lost",
    ),
    Mutant(
        "quiet-with-an-order-in-flight",
        "P6 S8",
        "killswitch/store/lua/ks_beat.lua",
        "args[4] == '1' and args[5] == '0'",
        "args[4] == '1'",
        (_STATEFUL, "-k", "redis and promises"),
        "the operator is told that all is quiet while an order is on its way",
    ),
    Mutant(
        "repetition-is-a-second-engagement",
        "A1",
        "killswitch/store/lua/ks_engage.lua",
        "if again and redis.pcall('GET', keys[1]) == text then return again end",
        "if again and text == '' then return again end",
        (_STATEFUL, "-k", "redis and promises"),
        "a repeated command has two entries, and voids the reset in between",
    ),
    Mutant(
        "words-that-begin-with-safe",
        "P5",
        "killswitch/core/answer.py",
        "if row.text == Mode.SAFE and row.length == len(Mode.SAFE):",
        "if row.text.strip() == Mode.SAFE:",
        ("tests/integration/test_state_values.py", "tests/unit/core/test_answer.py"),
        "SAFE with a blank, which nobody may mean, opens",
    ),
    Mutant(
        "checker-without-time",
        "P8",
        "tests/random/linearizability.py",
        "            earliest = min(earliest, operation.end)\n",
        "",
        ("tests/random/test_linearizability.py",),
        "a checker that lets an operation come before one that had returned accepts stale reads",
    ),
    Mutant(
        "record-of-another-form",
        "P10",
        "killswitch/store/portions.py",
        "case [bytes(entry_id), list() | None as flat]:",
        "case [entry_id, flat]:",
        ("tests/unit/store/test_portions.py", "-k", "out_of_step"),
        "a traceback where an operator reads the record",
    ),
    Mutant(
        "pairs-of-another-form",
        "P11",
        "killswitch/store/fleet.py",
        "if not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in found):",
        "if not found:",
        (_STORE, "-k", "picture"),
        "a traceback where an operator waits for the proof",
    ),
    Mutant(
        "bombs-are-unpacked",
        "P11",
        "workers/feed/source.py",
        "_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)",
        "_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)",
        (_JOBS, "-k", "bomb"),
        "a tick file of a few KB takes the memory of its worker",
    ),
    Mutant(
        "fence-that-falls",
        "S16",
        "workers/venue/book.py",
        "fence = max(session.paper.fence, epoch)",
        "session.paper._fence = fence = epoch",
        (_JOBS, "-k", "fence"),
        "a late message lowers the fence again",
    ),
    Mutant(
        "mark-before-the-first-line",
        "L1",
        "killswitch/sources.py",
        'ENCODING = "utf-8-sig"',
        'ENCODING = "utf-8"',
        (_QUICK, "-k", "byte_order"),
        "an editor takes the first line away, and another switch is engaged",
    ),
    Mutant(
        "utf-16-read-as-nothing",
        "L1",
        "killswitch/sources.py",
        '    if "\\0" in text:\n        raise UnicodeError("null character")\n',
        "",
        (_QUICK, "-k", "dotenv_in_another"),
        "a file in which nothing is found leaves the default address, and another switch is engaged",
    ),
    Mutant(
        "damaged-address-taken-for-none",
        "L1",
        "killswitch/quick.py",
        "if value is None or not self._env_fault or _DAMAGED not in value:",
        "if True:",
        (_QUICK, "-k", "dotenv_in_another"),
        "half an address is pressed",
    ),
    Mutant(
        "one-bad-line-hides-the-address",
        "P8",
        "killswitch/quick.py",
        'text = read_source(DOTENV, errors="replace")',
        "raise",
        (_QUICK, "-k", "dotenv_in_another"),
        "a remark in another encoding keeps the operator from stopping",
    ),
    Mutant(
        "soak-socket-not-asked",
        "P2",
        "killswitch/gate/gate.py",
        "            if not self._ready(0, 1):\n                picture = self._picture\n"
        "                if now_ns() < picture.signal_until_ns:",
        "            if True:\n                picture = self._picture\n"
        "                if now_ns() < picture.signal_until_ns:",
        (_SOAK,),
        "checks pass after +OK, now and then",
    ),
    Mutant(
        "soak-restart-reopens",
        "P9",
        "killswitch/store/lua/incarnation.lua",
        "if kept[1] == inc.run_id and kept[2] == inc.replid then\n",
        "if kept[1] then\n",
        (_SOAK,),
        "a server that came back from its disk opens the fleet again",
    ),
]
