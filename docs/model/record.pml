/* The record: epochs, a switch and a scope, commands that were decided earlier, changes by an unknown hand, repetitions.
 *
 * Modelled: reconcile, record, receipts, ks_engage, ks_reset, ks_reduce, ks_read, ks_beat (one atomic step each),
 * decide() of core/answer.py for a worker that follows the switch and one scope, gate 1 and gate 2 with the signal's epoch.
 * Left out: time, the push, fail-over (failover.pml). A worker may believe an answer for ever here.
 *
 *   sizes:     -DOPS=n commands (3), -DRAWS=n changes by hand (1), -DRETRY each command may be sent twice,
 *              -DWAITS who engaged waits for quiet
 *   worlds:    -DSAME_TEXT a hand may write the text that is there, -DHAND_UNDOES it may undo itself before anybody came by
 *   mutations: -DRESET_ANY -DREDUCE_ANY -DLAST_WINS (the newest change decides, not the strictest) -DSWITCH_EPOCH -DANY_SIGNAL
 *              -DOPEN_UNRECORDED -DRECEIPT_ALWAYS -DREDUCING_IS_OPEN -DNO_RECONCILE
 */
#include "common.h"
#ifndef OPS
#define OPS 3
#endif
#ifndef RAWS
#define RAWS 1
#endif
#define ABSENT 0            /* of a scope: follows the switch */
#define SAFE 1
#define REDUCING 2
#define ENGAGED 3           /* with one reason, and with another */
#define ENGAGED_TOO 4
#define KEYS 2              /* 0: the switch, 1: the scope */

byte value[KEYS] = { SAFE, ABSENT };
byte token[KEYS] = { SAFE, ABSENT };    /* what the ledger holds of it */
byte epoch[KEYS] = { 1, 0 };
byte counter = 1;

byte ops, raws;
/* what is true */
byte changed[KEYS];         /* how often the value was set by anybody */
byte stops;                 /* how often a stop of either key was written */
byte quiet;                 /* the worker's row: the epoch at which it was closed, with nothing in flight, under a stop */
byte said;                  /* QUIET was said at this epoch, of either key */

#define STOPS(v) ((v) >= ENGAGED)
#define STRICTEST MAX(MODE(0), MODE(1))
#define MODE(k) (value[k] >= ENGAGED -> ENGAGED : (value[k] == ABSENT -> (k == 0 -> ENGAGED : SAFE) : value[k]))

inline note(k) {
    counter++;
    PROVE(S6, counter > epoch[0] && counter > epoch[1]);
    epoch[k] = counter; token[k] = value[k]
}
#ifdef NO_RECONCILE
#define UNRECORDED(k) false
#else
#define UNRECORDED(k) (token[k] != value[k])
#endif
inline reconcile(k) { if :: UNRECORDED(k) -> note(k) :: else fi }
inline put(k, v) {
    value[k] = v; changed[k]++;
    if :: STOPS(v) -> stops++ :: else fi
}
inline engages(k) { reconcile(k); put(k, ENGAGED); note(k) }

/* ---------------------------------------------------------------------------------------------------- operators */

#ifdef RESET_ANY
#define CURRENT(k) true
#else
#define CURRENT(k) (looked == epoch[k])
#endif
#ifdef REDUCE_ANY
#define TIGHTENS(k) true
#else
#define TIGHTENS(k) (MODE(k) != ENGAGED)
#endif
#ifdef RECEIPT_ALWAYS
#define STANDS(k) true
#else
#define STANDS(k) (value[k] == ENGAGED)
#endif

/* One command: looked at, decided, sent, and where its answer was lost sent once more with the same operation id. */
proctype command() {
    byte looked, knew, mine;
    bit k;
    bool receipt;
    atomic { ops < OPS -> ops++; if :: k = 0 :: k = 1 fi; looked = epoch[k]; knew = changed[k] };
    if
    :: atomic { true -> engages(k); receipt = true; mine = epoch[k] };
       if
#ifdef WAITS
       :: atomic { MODE(k) == ENGAGED && epoch[k] >= mine && token[k] == value[k] && quiet >= epoch[k] ->
             said = MAX(said, epoch[k]); REACH(7) }
#endif
#ifdef RETRY
       :: atomic { true ->
             if
             :: receipt && STANDS(k) -> REACH(5)                        /* the first answer again */
             :: else -> engages(k); REACH(6)
             fi;
             PROVE(P8, MODE(k) == ENGAGED) }                        /* whoever is told so, is right */
#endif
       :: true
       fi
    :: atomic { true ->
          reconcile(k);
          if
          :: CURRENT(k) -> PROVE(P8, changed[k] == knew); put(k, SAFE); note(k); receipt = true; REACH(1)
          :: else -> REACH(2)
          fi };
       if
#ifdef RETRY
       :: atomic { true ->
             if
             :: receipt                              /* nothing is changed twice */
             :: !receipt ->
                reconcile(k);
                if :: CURRENT(k) -> PROVE(P8, changed[k] == knew); put(k, SAFE); note(k) :: else fi
             fi }
#endif
       :: true
       fi
    :: atomic { true ->                                             /* reduce without an epoch */
          reconcile(k);
          if
          :: TIGHTENS(k) -> PROVE(P8, MODE(k) != ENGAGED); put(k, REDUCING); note(k)
          :: else
          fi }
    :: atomic { true ->                                             /* reduce with the epoch looked at */
          reconcile(k);
          if
          :: TIGHTENS(k) || CURRENT(k) -> PROVE(P8, MODE(k) != ENGAGED || changed[k] == knew); put(k, REDUCING); note(k)
          :: else
          fi }
    fi
}

/* redis-cli SET or DEL: no record */
#ifdef SAME_TEXT
#define NEW_TEXT(k, v) true
#else
#define NEW_TEXT(k, v) (v != value[k])
#endif
#ifdef HAND_UNDOES
#define SETTLED(k) true
#else
#define SETTLED(k) (value[k] == token[k])
#endif
active proctype hand() {
    bit k;
    do
    :: atomic { raws < RAWS ->
          if :: k = 0 :: k = 1 fi;
          if
          :: SETTLED(k) && NEW_TEXT(k, ABSENT) -> raws++; put(k, ABSENT)
          :: SETTLED(k) && NEW_TEXT(k, SAFE) -> raws++; put(k, SAFE)
          :: SETTLED(k) && NEW_TEXT(k, ENGAGED) -> raws++; put(k, ENGAGED)
          :: SETTLED(k) && NEW_TEXT(k, ENGAGED_TOO) -> raws++; put(k, ENGAGED_TOO)
          :: else
          fi;
          k = 0 }
    od
}

/* ------------------------------------------------------------------------------------------------------- worker */

#ifdef SWITCH_EPOCH
#define EPOCH epoch[0]
#else
#define EPOCH MAX(epoch[0], epoch[1])
#endif
#if defined(LAST_WINS)
#define ANSWER (epoch[0] > epoch[1] -> MODE(0) : MODE(1))
#else
#define ANSWER STRICTEST
#endif
#ifdef OPEN_UNRECORDED
#define RECORDED true
#else
#define RECORDED (token[0] == value[0] && token[1] == value[1])
#endif
#ifdef REDUCING_IS_OPEN
#define ORDERS(mode) (mode <= REDUCING)
#else
#define ORDERS(mode) (mode == SAFE)
#endif
#ifdef WAITS                /* closed and empty when it was sent; a signal that may still become an order is not empty */
#define BEAT_WRITES quiet = (picture == 0 && (MODE(0) == ENGAGED || MODE(1) == ENGAGED) -> EPOCH : 0)
#else
#define BEAT_WRITES skip
#endif
#ifdef ANY_SIGNAL
#define IN_FORCE true
#else
#define IN_FORCE (signalled == picture)
#endif

active proctype worker() {
    byte picture, seen, engaged_seen, signalled;
    bool orders;                    /* every order passes, not only reducing ones */
    byte knew, knew_signal;         /* stops that had been written when the picture, and the signal, was made */
    do
    :: atomic { true ->
          if
          :: true -> reconcile(0); reconcile(1); BEAT_WRITES        /* ks_beat */
          :: true                                                   /* ks_read */
          fi;
          seen = MAX(seen, EPOCH);
          if
          :: ANSWER == ENGAGED -> engaged_seen = MAX(engaged_seen, EPOCH); picture = 0; orders = false
          :: ANSWER != ENGAGED && RECORDED && EPOCH >= seen && EPOCH > engaged_seen ->
             PROVE(S14, MODE(0) != ENGAGED && MODE(1) != ENGAGED);
             PROVE(P5, value[0] == SAFE || value[0] == REDUCING);
             PROVE(P10, token[0] == value[0] && token[1] == value[1]);
             picture = EPOCH; orders = ORDERS(ANSWER); knew = stops;
             PROVE(P1, !orders || STRICTEST == SAFE);
             if :: picture > 1 -> REACH(3) :: else fi
          :: else -> picture = 0; orders = false
          fi;
          if :: picture == 0 -> knew = 0 :: else fi }
    :: atomic { picture > 0 && signalled == 0 -> signalled = picture; knew_signal = knew }        /* gate 1 */
    :: atomic { picture > 0 && orders && signalled > 0 && IN_FORCE ->                             /* gate 2 */
          PROVE(S3, picture > said);
          PROVE(S1, knew == knew_signal); REACH(4);                 /* no signal from before a stop becomes an order after it */
          signalled = 0; knew_signal = 0 }
    :: atomic { signalled > 0 && !IN_FORCE -> signalled = 0; knew_signal = 0 }                    /* stale: void */
    od
}

init { atomic { run command(); run command(); run command() } }
