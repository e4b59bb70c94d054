/* Fail-over that loses what was acknowledged: a permission is valid only in the incarnation that recorded it.
 *
 * Modelled: settle_incarnation, reconcile and record of the Lua, ks_read (run id), ks_beat (run id and replication id,
 * the counter raised to what the worker has seen), ks_engage, ks_reset, the latch of core/answer.py, operators who look
 * and reset later. The replica copies the whole record at any moment, so it lags by any number of changes.
 * Left out: time and the push; and the old master is dead when its replica is promoted (for one that is not, see SPLIT
 * in lease.pml). The property is judged where the server answers: who is open from before is the lease's affair.
 *
 *   -DFAILOVERS=n (1), -DENGAGES=n (2), -DNEWCOMER a second worker that has seen nothing, -DKEPT connections outlive a demotion,
 *   -DSWAP the record is swapped away and back
 *   -DRESUME the policy resume: a new incarnation carries the permission on; -DREASSERT and who saw a lost stop puts it back
 *   mutations: -DNO_INCARNATION -DRUN_ID_ONLY -DNO_LATCH -DLATCH_OWN_EPOCH -DRESET_ANY -DSAME_NUMBERS (no jump in a new incarnation) -DNO_RAISE
 */
#include "common.h"
#ifndef FAILOVERS
#define FAILOVERS 1
#endif
#ifndef ENGAGES
#define ENGAGES 2
#endif
#ifdef SAME_NUMBERS
#define STEP 1
#else
#define STEP 5              /* more than changes can be lost */
#endif
typedef Record { bool safe; byte epoch; byte counter; byte run_id; byte repl_id; byte given };     /* given: which permission */
Record rec[2];
byte repl_id[2];            /* the replication id of each server now */
bit master;
byte repl_ids = 1;
byte lost_links;            /* fail-overs so far: a connection made before is gone, or with KEPT goes on */

#ifdef SWAP
Record aside;               /* nobody commands while the wrong record is in place */
bool swapped;
#define IN_PLACE (aside.epoch == 0)
#else
#define IN_PLACE true
#endif

/* what is true */
bool stopped;               /* an operator read +OK for a stop, and nobody permitted since */
byte stops;                 /* how many such stops there were */
byte resets;

#if defined(NO_INCARNATION)
#define KNOWN(m) true
#elif defined(RUN_ID_ONLY)
#define KNOWN(m) (rec[m].run_id == m + 1)
#else
#define KNOWN(m) (rec[m].run_id == m + 1 && rec[m].repl_id == repl_id[m])
#endif

#ifdef NO_LATCH
#define LATCHED true
#else
#define LATCHED (rec[master].epoch >= seen && rec[master].epoch > engaged_seen)
#endif
#ifdef LATCH_OWN_EPOCH
#define LATCHES_SEEN false
#else
#define LATCHES_SEEN true
#endif
#define NEVER 99
#ifdef SWAP                 /* it was open under it before; else: it was given before the stop was seen */
#define OVER used
#define NOW_USED used = rec[master].given
#else
#define OVER resets
#define NOW_USED skip
#endif
#ifdef NO_INCARNATION
#define CONFIRMED true
#else
#define CONFIRMED (rec[master].run_id == master + 1)
#endif

#if defined(RESUME) || defined(REASSERT)
#define CARRIES_ON true
#else
#define CARRIES_ON false
#endif

/* settle_incarnation: the switch is engaged in writing, under a new epoch; or carried on, under the epoch it has */
inline settle(m) {
    if
    :: !KNOWN(m) && CARRIES_ON && rec[m].safe ->
                    rec[m].counter = rec[m].counter + STEP; rec[m].run_id = m + 1; rec[m].repl_id = repl_id[m]; REACH(6)
    :: !KNOWN(m) && !(CARRIES_ON && rec[m].safe) ->
                    rec[m].safe = false; rec[m].counter = rec[m].counter + STEP; rec[m].epoch = rec[m].counter;
                    rec[m].run_id = m + 1; rec[m].repl_id = repl_id[m]; REACH(1)
    :: else
    fi
}

#ifdef REASSERT
inline put_back() {
    if
    :: rec[master].safe && engaged_seen > 0 && rec[master].epoch <= engaged_seen ->
       rec[master].safe = false; rec[master].counter++; rec[master].epoch = rec[master].counter; REACH(7)
    :: else
    fi
}
#else
inline put_back() { skip }
#endif

#ifdef KEPT
#define KEPT_LINKS true
#else
#define KEPT_LINKS false
#endif

/* what decide() makes of the answer; opening is judged, closing is not */
inline answer(confirmed) {
    if
    :: !rec[master].safe ->
       seen = MAX(seen, rec[master].epoch); barred = OVER;
       engaged_seen = (LATCHES_SEEN -> seen : MAX(engaged_seen, rec[master].epoch))
    :: rec[master].safe && confirmed && LATCHED ->
       PROVE(P9, !stopped);
       PROVE(S5, barred == NEVER || rec[master].given > barred);
       if :: resets > 0 && lost_links > 0 -> REACH(2) :: else fi;
       seen = rec[master].epoch; NOW_USED
    :: else -> if :: rec[master].safe && confirmed -> REACH(5) :: else fi     /* epoch_behind */
    fi
}

proctype worker() {
    byte seen, engaged_seen, link = 99;
    byte barred = NEVER;                               /* a stop was seen: this permission, and those before, are over */
#ifdef SWAP
    byte used = NEVER;                                 /* the permission under which it was open last */
#endif
    do
    :: atomic {                                        /* ks_beat; the first on each connection */
          link = lost_links;
#ifndef NO_RAISE
          rec[master].counter = MAX(rec[master].counter, seen);
#endif
          settle(master);
          put_back();
          answer(true) }
    :: atomic { link == lost_links || (KEPT_LINKS && link != 99) ->                 /* ks_read */
          answer(CONFIRMED) }
    od
}

/* engages without asking; +OK is what counts */
proctype engager() {
    do
    :: atomic { stops < ENGAGES && IN_PLACE ->
          rec[master].safe = false; rec[master].counter++; rec[master].epoch = rec[master].counter;
          settle(master);
          stopped = true; stops++ }
    od
}

/* looks, thinks for any time, and resets what was looked at */
proctype resetter() {
    byte looked, knew;
    do
    :: atomic { resets < 2 && !rec[master].safe && IN_PLACE -> looked = rec[master].epoch; knew = stops }
       atomic { IN_PLACE ->
          settle(master);
          if
#ifdef RESET_ANY
          :: true ->
#else
          :: looked == rec[master].epoch ->
#endif
             PROVE(P8, knew == stops || !stopped);
             rec[master].safe = true; rec[master].counter++; rec[master].epoch = rec[master].counter;
             stopped = false; resets++; rec[master].given = resets
          :: looked != rec[master].epoch -> REACH(3)
          fi;
          looked = 0; knew = 0 }
    od
}

proctype replication() {
    do
    :: atomic { rec[1 - master].safe = rec[master].safe; rec[1 - master].epoch = rec[master].epoch;
                rec[1 - master].counter = rec[master].counter; rec[1 - master].run_id = rec[master].run_id;
                rec[1 - master].repl_id = rec[master].repl_id; rec[1 - master].given = rec[master].given }
    :: atomic { lost_links < FAILOVERS ->              /* the replica is promoted as it is; the old master becomes its replica */
                lost_links++; master = 1 - master; repl_ids++; repl_id[master] = repl_ids;
                if :: stopped && rec[master].safe -> REACH(4) :: else fi }
#ifdef SWAP
    :: atomic { !swapped && rec[master].safe -> swapped = true;        /* SWAPDB: an empty record, and the old one back */
                aside.epoch = rec[master].epoch; aside.counter = rec[master].counter; aside.given = rec[master].given;
                aside.run_id = rec[master].run_id; aside.repl_id = rec[master].repl_id;
                rec[master].safe = false; rec[master].epoch = 0; rec[master].counter = 0; rec[master].given = 0 }
    :: atomic { swapped && aside.epoch > 0 ->
                rec[master].safe = true; rec[master].epoch = aside.epoch; rec[master].counter = aside.counter;
                rec[master].given = aside.given; rec[master].run_id = aside.run_id; rec[master].repl_id = aside.repl_id;
                aside.epoch = 0 }
#endif
    od
}

init {
    atomic {
        rec[0].safe = true; rec[0].epoch = 1; rec[0].counter = 1; rec[0].run_id = 1; rec[0].repl_id = 1; repl_id[0] = 1;
        rec[1].safe = true; rec[1].epoch = 1; rec[1].counter = 1; rec[1].run_id = 1; rec[1].repl_id = 1; repl_id[1] = 1;
        run worker();
#ifdef NEWCOMER
        run worker();
#endif
        run engager(); run resetter(); run replication()
    }
}
