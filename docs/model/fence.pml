/* FENCED: every lease has run out, and every sink that a pending worker named refuses older epochs.
 *
 * Modelled: prove() of the controller for workers that are not proved quiet, store/sink.py (raise, confirm), the venue's
 * fence for each session, permits that carry their epoch, two operators and a third hand that permits in between.
 * Abstracted: the wait for the leases is "no gate is open under an older permission", which lease.pml proves of the time
 * that prove() waits. A process may stop between check and send for any time: that is what the fence is for.
 *
 *   mutations: -DNO_FENCE (FENCED when the leases are out) -DNO_LEASE_WAIT -DFENCE_AFTER -DFENCE_LOWERED -DFENCE_BELOW
 *              -DONE_SESSION -DSINK_FORGETS -DUNNAMED
 */
#include "common.h"
#define SESSIONS 2

bool safe = true;
byte epoch = 1;
byte said;                      /* FENCED was said at this epoch */

byte fence[SESSIONS];
typedef Raise { byte epoch; bool confirmed };
Raise raised[4];                /* on its way to session s by operator o: [2 * o + s] */

byte named = 1;                 /* sessions that the worker's row names: bits */
byte uses = 1;                  /* sessions that it sends to */

/* Reads at any time, stops at any time, passes and sends. Two orders: one may have waited for ever. */
byte picture;
active proctype reader() {
    do
    :: atomic { safe -> picture = epoch }
    :: atomic { picture > 0 -> picture = 0 }
    :: atomic { named == 1 && picture == 0 -> named = 3 }       /* the first beat of a new agent names another session */
    :: atomic { named == 3 && uses == 1 && picture == 0 -> uses = 3 }
#ifdef UNNAMED
    :: atomic { uses == 1 -> uses = 3 }                         /* the beat that names it comes later */
#endif
    od
}

active [2] proctype trader() {
    byte token, session;
    do
    :: atomic { picture > 0 ->
          PROVE(S3, picture > said);
          token = picture;
          if :: session = 0 :: uses == 3 -> session = 1 fi
       }
       atomic {                                                 /* sent, at any later time */
          if
          :: token >= fence[session] -> PROVE(S1, token > said); if :: token == 3 -> REACH(2) :: else fi
          :: else -> REACH(1)
          fi;
          token = 0; session = 0
       }
    od
}

active proctype sink() {
    byte i;
    do
    :: atomic {
          if
          :: raised[0].epoch > 0 && !raised[0].confirmed -> i = 0
          :: raised[1].epoch > 0 && !raised[1].confirmed -> i = 1
          :: raised[2].epoch > 0 && !raised[2].confirmed -> i = 2
          :: raised[3].epoch > 0 && !raised[3].confirmed -> i = 3
          fi;
#ifdef FENCE_LOWERED
          fence[i % SESSIONS] = raised[i].epoch;
#else
          fence[i % SESSIONS] = MAX(fence[i % SESSIONS], raised[i].epoch);
#endif
          raised[i].confirmed = true; i = 0
       }
#ifdef SINK_FORGETS
    :: atomic { fence[0] > 0 -> fence[0] = 0; fence[1] = 0 }    /* the sink restarted */
#endif
    od
}

#ifdef FENCE_BELOW
#define RAISED_TO (e - 1)
#else
#define RAISED_TO e
#endif
#define CONFIRMED(s) (raised[2 * who + s].confirmed)

inline say_fenced() {
    atomic {
        if
        :: !safe && epoch == e ->                               /* the last look: nobody changed it */
           said = MAX(said, e); REACH(3);
           if :: e > 2 -> REACH(4) :: else fi
        :: else
        fi
    }
}

proctype operator(byte who) {
    byte e;
    bool both;
    atomic { epoch < 4 -> safe = false; epoch++; e = epoch };
    if :: true :: goto done fi;                                 /* it may give up: UNCERTAIN */
    atomic { both = (named == 3) };                             /* a look at its row */
#ifndef NO_LEASE_WAIT
    (picture == 0 || picture > e);
#endif
#ifdef FENCE_AFTER
    say_fenced();
#endif
    atomic {
        if :: both = (named == 3) :: true fi;                   /* looked at again meanwhile, or not */
        raised[2 * who].epoch = RAISED_TO;
#ifndef ONE_SESSION
        if :: both -> raised[2 * who + 1].epoch = RAISED_TO :: else fi
#endif
    };
#if !defined(NO_FENCE) && !defined(ONE_SESSION)
    (CONFIRMED(0) && (!both || CONFIRMED(1)));
#elif defined(ONE_SESSION)
    (CONFIRMED(0));
#endif
#ifndef FENCE_AFTER
    say_fenced();
#endif
done:
    skip
}

init {
    atomic { run operator(0); run operator(1) };
    do
    :: atomic { !safe && epoch < 4 -> safe = true; epoch++ }    /* somebody permits again */
    od
}
