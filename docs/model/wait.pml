/* engage --wait ends, whatever workers, sinks and Redis do, and says one of three words.
 *
 * Modelled: wait_quiet of the controller: looks that take several calls, each with a limit; fences asked beside the wait;
 * the deadline and the grace behind it. Redis and sinks may answer at once, late, or never; workers may turn quiet or not.
 * A tick is a unit of time; between two ticks the tool does what it can.
 *
 *   mutations: -DCALLS_UNBOUNDED each call has its own limit, all together none -DSINK_IN_THE_WAY waits for the sink's answer
 *              -DNO_DEADLINE waits for acknowledgements -DCALL_FOR_EVER no limit at all
 */
#include "common.h"
#define WAIT 4
#define GRACE 1
#define CALLS 3             /* of one look */
#define STEP 2              /* the limit of one call */
#define LEASE 2

mtype = { NONE, QUIET, FENCED, UNCERTAIN };
mtype verdict = NONE;
byte now;
bool quiet, fenced;         /* what the world would let it find */
bool asked_sink;
bool ticking;               /* the tool waits: time passes */

#ifdef NO_DEADLINE
#define TIME_IS_UP false
#else
#define TIME_IS_UP (now >= WAIT)
#endif
#if defined(CALL_FOR_EVER)
#define CALL_MAY_WAIT true
#define CALL_IS_OVER false
#elif defined(CALLS_UNBOUNDED)
#define CALL_MAY_WAIT (spent < STEP)
#define CALL_IS_OVER (spent >= STEP)
#else
#define CALL_MAY_WAIT (spent < STEP && !LATE)
#define CALL_IS_OVER (spent >= STEP || LATE)
#endif
#define LATE (now >= WAIT + GRACE)

inline pass() { ticking = true; (!ticking) }

active proctype clock() {
    do
    :: atomic { ticking && verdict == NONE -> if :: now < 20 -> now++ :: else fi; ticking = false }
    :: verdict != NONE -> break
    od
}

active proctype world() {
    do
    :: atomic { !quiet && verdict == NONE -> quiet = true; break }
    :: atomic { asked_sink && !fenced && verdict == NONE -> fenced = true }
    :: verdict != NONE -> break
    :: break                /* nothing more ever happens */
    od
}

active proctype tool() {
    byte calls, spent;
    bool found_quiet, looked, silent;
    do
    :: calls = 0; found_quiet = true; silent = false;
       do                                               /* a look */
       :: calls < CALLS && !silent ->
          spent = 0;
          do
          :: break                                      /* an answer */
          :: atomic { CALL_MAY_WAIT -> spent++ }; pass()
          :: atomic { CALL_IS_OVER -> silent = true; break }
          od;
          calls++
       :: else -> break
       od;
       if
       :: !silent -> looked = true; found_quiet = quiet
       :: else -> found_quiet = false
       fi;
       if
       :: looked && found_quiet -> verdict = QUIET; REACH(1); break
       :: else
       fi;
       if :: now >= LEASE -> asked_sink = true :: else fi;
#ifdef SINK_IN_THE_WAY
       if :: asked_sink -> (fenced) :: else fi;
#endif
       if
       :: looked && asked_sink && fenced -> verdict = FENCED; REACH(2); break
       :: else
       fi;
       if
       :: TIME_IS_UP -> verdict = UNCERTAIN; REACH(3); break
       :: else -> pass()
       fi
    od;
    PROVE(L2, now <= WAIT + GRACE)
}

ltl ends { <> (verdict != NONE) }
