"""Breaks of what a drill, or any announcement, may cost: no signal, no order, no word of a stop that there is none."""

from __future__ import annotations

from tests.mutation.base import Mutant

__all__ = ["MUTANTS"]

_DOUBT = "workers/doubt.py"
_ENGINE = "workers/engine.py"
_WATCHER = "killswitch/gate/watcher.py"
_ENGINE_TESTS = ("tests/unit/workers/test_engine_doubt.py",)
_BEAT = "killswitch/store/lua/ks_beat.lua"
_DRILL = "killswitch/store/lua/ks_drill.lua"
_RUN = "killswitch/control/drilling.py"
_LUA_TESTS = ("tests/contract/test_drill.py",)
_LIVE_TESTS = ("tests/integration/test_drill.py",)
_TRADING_TESTS = ("tests/integration/test_drill_trading.py",)
_TELLING_TESTS = ("tests/unit/gate/test_telling.py",)

MUTANTS = (
    Mutant(
        "announcement-costs-a-signal",
        "P11",
        _DOUBT,
        "        if code is not Code.STATE_CHANGED:\n",
        "        if code is not Code.UNRECORDED:\n",
        (*_ENGINE_TESTS, "-k", "any_check_changes_no_order"),
        "each drill, and each change elsewhere in the fleet, loses the ticks of a round trip",
    ),
    Mutant(
        "waiting-order-takes-the-new-epoch",
        "P8",
        _ENGINE,
        "lambda: self._send(order, epoch, started))",
        "lambda: self._send(order, self._agent.view.epoch, started))",
        (*_ENGINE_TESTS, "-k", "does_not_wait_it_out"),
        "a signal from before a halt becomes an order after it",
    ),
    Mutant(
        "doubt-without-end",
        "P11",
        _DOUBT,
        "        if now - self.since_ns >= self._patience_ns or self._stop.is_set():\n",
        "        if self._stop.is_set():\n",
        (*_ENGINE_TESTS, "-k", "closed_after_a_while", "--timeout", "20"),
        "a watcher that hangs keeps the engine from fills and cancels",
    ),
    Mutant(
        "announcement-is-told-as-a-stop",
        "P11",
        _WATCHER,
        "        if self._doubt_ns and now_ns()",
        "        if not self._doubt_ns and now_ns()",
        (*_TELLING_TESTS, "-k", "drill"),
        "each drill cancels the working orders of whoever listens",
    ),
    Mutant(
        "stop-after-an-announcement-is-not-told",
        "P11",
        _WATCHER,
        "        if was and (not after.is_open or (was.is_open",
        "        if was and ((was.is_open",
        (*_TELLING_TESTS, "-k", "told_with_what_it_was_about"),
        "listeners hear of an announcement and not of the stop",
    ),
    Mutant(
        "storm-of-announcements-is-not-told",
        "P11",
        _WATCHER,
        " < self.watch.timing.patience_ms * NS_PER_MS:",
        " < 1 << 62:",
        (*_TELLING_TESTS, "-k", "storm"),
        "somebody who writes all the time keeps gates closed without a word to listeners",
    ),
    Mutant(
        "drill-loses-orders",
        "P11",
        _ENGINE,
        "                            await self._doubt.over()\n",
        "                            self._doubt.held = None\n",
        (*_TRADING_TESTS, "-k", "same_ticks"),
        "the ticks of each round trip are thrown away without a word",
    ),
    Mutant(
        "drill-is-told-to-listeners",
        "P11",
        _WATCHER,
        "            return  # the gate is closed; what it was about is known in a round trip\n",
        "            pass\n",
        (*_TRADING_TESTS, "-k", "hundreds"),
        "each drill calls everybody who listens for a stop",
    ),
    Mutant(
        "drill-hides-a-stop",
        "P6",
        _BEAT,
        " or seen_epoch < epoch then return nil end",
        " then return nil end",
        (*_LUA_TESTS, "-k", "during_a_drill_is_a_stop"),
        "a worker that reads a stop acknowledges the drill that runs beside it",
    ),
    Mutant(
        "drill-looks-like-a-stop",
        "P11",
        _BEAT,
        "  if opens then says = { mode",
        "  if false then says = { mode",
        (*_LUA_TESTS, "-k", "no_word_of_a_stop"),
        "status and metrics show a stopped fleet after each drill",
    ),
    Mutant(
        "drill-opens-the-row-of-the-stopped",
        "P6",
        _BEAT,
        "fields_of_drill(fields, confirmed and not engaged and rows[1][4] ~= 0, rows, ack)",
        "fields_of_drill(fields, true, rows, ack)",
        (*_LUA_TESTS, "-k", "proves_no_stop"),
        "a stopped worker is shown as open after a drill",
    ),
    Mutant(
        "open-gate-acknowledges",
        "P6",
        _BEAT,
        " or args[4] ~= '1' or seen_epoch",
        " or seen_epoch",
        (*_LUA_TESTS, "-k", "no_acknowledgement"),
        "a drill passes although a gate did not close",
    ),
    Mutant(
        "any-beat-acknowledges",
        "P6",
        _BEAT,
        "  if args[#args - 1] ~= 'line' or args[#args] == '' or",
        "  if",
        (*_LUA_TESTS, "-k", "no_acknowledgement"),
        "a worker that heard nothing acknowledges with its periodic beat",
    ),
    Mutant(
        "drill-stays-in-the-state",
        "P11",
        _DRILL,
        "  redis.call('DEL', key)\n",
        "",
        (*_LUA_TESTS, "-k", "leaves_nothing_behind"),
        "an engaged scope stays after each drill",
    ),
    Mutant(
        "drill-under-any-key",
        "P8",
        _DRILL,
        "  if n.scope ~= 'drill:fleet' then",
        "  if n.scope == '' then",
        (*_LUA_TESTS, "-k", "no_drill_is_refused"),
        "a drill under the key of the switch deletes the state",
    ),
    Mutant(
        "two-drills-at-once",
        "P6",
        _DRILL,
        "  if not failed(run) and run ~= '' then\n",
        "  if false then\n",
        (*_LUA_TESTS, "-k", "told_of_the_first"),
        "workers acknowledge one of two drills, and the other reports them missing",
    ),
    Mutant(
        "drill-goes-on-beside-a-stop",
        "P8",
        _RUN,
        '        if found == mark:\n            return ""\n',
        '        if found:\n            return ""\n',
        (*_LIVE_TESTS, "-k", "comes_first", "--timeout", "60"),
        "a drill that met a real stop reports on the line as if nothing had been",
    ),
    Mutant(
        "word-on-the-channel-is-believed",
        "P6",
        _RUN,
        "        for name in found:\n            self._ear.heard_ns.pop(name, None)\n        return found\n",
        "        return set()\n",
        (*_LIVE_TESTS, "-k", "each_others_way"),
        "a forged word ends the wait for a worker that is only slow",
    ),
    Mutant(
        "who-cannot-be-drilled-is-left-out",
        "P6",
        "killswitch/core/drill.py",
        "    missing = cannot_be_drilled(member)\n",
        '    missing = ""\n',
        ("tests/unit/core/test_drill.py", "-k", "speaks_against_it"),
        "a worker of an older release is no failure of the line, and its reason is lost",
    ),
    Mutant(
        "wolf",
        "P6",
        "killswitch/core/drill_record.py",
        "    return (value > max(others) * (1 + share)) - (value * (1 + share) < min(others))\n",
        "    return (value > middle) - (value < middle)\n",
        ("tests/unit/core/test_drill.py", "-k", "hardly_ever"),
        "nobody looks any more when a drill says worse",
    ),
    Mutant(
        "drill-stays-when-broken-off",
        "P6",
        _RUN,
        "                    DrillStore(last, keys).end(run.token, {})\n",
        "                    pass\n",
        (*_LIVE_TESTS, "-k", "leaves_the_way_free"),
        "after Ctrl-C nobody can drill until the time has run out",
    ),
    Mutant(
        "drill-waits-for-who-left",
        "P11",
        _RUN,
        "        members = self._store.members()\n",
        "        members = awaited | waiting\n",
        (*_LIVE_TESTS, "-k", "each_others_way"),
        "a drill waits for the whole bound whenever somebody leaves meanwhile",
    ),
)
