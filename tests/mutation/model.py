"""Breaks of the model of the protocol, and of the script that judges its searches."""

from __future__ import annotations

from tests.mutation.base import Mutant

__all__ = ["MUTANTS"]

_RUN = "docs/model/run.py"
_JUDGED = ("tests/model/test_model.py", "-k", "not quick")
_SEARCHED = ("tests/model/test_model.py", "-k", "quick")

MUTANTS = (
    Mutant(
        "model-cut-off-search-counts",
        "P2",
        _RUN,
        'if "max search depth too small" in output:',
        'if "no such words" in output:',
        _JUDGED,
        "a search that gave up is taken for a proof",
    ),
    Mutant(
        "model-empty-search-counts",
        "P2",
        _RUN,
        "    elif not found.states:\n",
        "    elif found.states < 0:\n",
        _JUDGED,
        "a search of nothing is taken for a proof",
    ),
    Mutant(
        "model-places-not-looked-at",
        "P2",
        _RUN,
        "if not result.marks >> place & 1]",
        "if not result]",
        _JUDGED,
        "a proof about nothing counts",
    ),
    Mutant(
        "model-any-hole-will-do",
        "P2",
        _RUN,
        'if check.expect == "hole" and result.broke != check.breaks:',
        'if check.expect == "hole" and not result.broke:',
        _JUDGED,
        "a mutation that breaks something else than it is meant to counts as noticed",
    ),
    Mutant(
        "model-wrong-verdict-passes",
        "P2",
        _RUN,
        "    return 1 if wrong else 0\n",
        "    return 0\n",
        _JUDGED,
        "nobody hears that the protocol does not hold",
    ),
    Mutant(
        "model-watcher-drains-first",
        "P2",
        "docs/model/gate.pml",
        "#else\n       picture = 0;\n       sock = 0;\n#endif\n",
        "#else\n       sock = 0;\n       picture = 0;\n#endif\n",
        _SEARCHED,
        "the quick checks would not see the order of closing and emptying",
    ),
    Mutant(
        "model-fence-may-fall",
        "S16",
        "docs/model/fence.pml",
        "fence[i % SESSIONS] = MAX(fence[i % SESSIONS], raised[i].epoch);",
        "fence[i % SESSIONS] = raised[i].epoch;",
        _SEARCHED,
        "the quick checks would not see a fence that is lowered",
    ),
    Mutant(
        "model-incarnation-ignored",
        "P9",
        "docs/model/failover.pml",
        "#define KNOWN(m) (rec[m].run_id == m + 1 && rec[m].repl_id == repl_id[m])",
        "#define KNOWN(m) true",
        _SEARCHED,
        "the quick checks would not see a lost stop reopening the fleet",
    ),
)
