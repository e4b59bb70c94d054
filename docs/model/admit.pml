/* Admission: an order enters the journal in the step that finds trading permitted; a gateway forwards it behind its own gate.
 *
 * Modelled: ks_admit and ks_outcome as one atomic step each, an engine that asks with its permit held, a gateway that is a
 * member of the fleet (gate 2 with the entry's epoch, permit, send, outcome), a second gateway that takes over while the
 * first may be stopped anywhere and wake, the venue's memory of client ids (submit once, void).
 * Abstracted: QUIET is "all members closed with nothing in flight under a stop", which gate.pml and fleet.pml prove of the
 * rows; ownership is "one gateway holds the newest token", owner.pml. Time and the push are left out.
 *
 *   mutations: -DCHECK_THEN_APPEND -DNOT_A_MEMBER -DGATEWAY_WITHOUT_GATE -DANY_EPOCH -DNO_PERMIT -DFORGETS_MAYBE -DNO_VOID
 *              -DANY_TOKEN -DIDS_TWICE
 */
#include "common.h"
#define ORDERS 2
#define NONE 99
#ifdef NO_PERMIT
#define HOLDS false
#else
#define HOLDS true
#endif
#ifdef FORGETS_MAYBE
#define MAYBE false
#else
#define MAYBE true
#endif
#ifdef NO_VOID
#define VOIDS skip
#else
#define VOIDS venue[o] = 2
#endif

bool safe = true;
byte epoch = 1;
byte said;                          /* QUIET was said at this epoch */

/* the engine */
byte picture; bool permit;
/* the journal: 0 never there, 1 waits, 2 forwarded, 3 refused */
byte entry[ORDERS], entry_epoch[ORDERS];
/* gateways */
byte gate[2]; bool held[2];
byte holder;                        /* who owns the journal: 0, then 1 */
bool mine_may_be_sent;              /* the new owner: the first entry may have been sent by the old one */
/* the venue: 0 unknown, 1 accepted, 2 voided */
byte venue[ORDERS];
byte venue_owner;

#ifdef NOT_A_MEMBER
#define GATEWAYS_QUIET true
#else
#define GATEWAYS_QUIET (gate[0] == 0 && !held[0] && gate[1] == 0 && !held[1])
#endif
#ifdef ANY_EPOCH
#define IN_FORCE (gate[me] > 0)
#else
#define IN_FORCE (gate[me] == entry_epoch[o])
#endif
#ifdef GATEWAY_WITHOUT_GATE
#define PASSES true
#else
#define PASSES IN_FORCE
#endif
#ifdef ANY_TOKEN
#define OWNS true
#else
#define OWNS (holder == me)
#endif
#define FIRST (entry[0] == 1 -> 0 : 1)
#define WAITS (entry[0] == 1 || entry[1] == 1)

active proctype operators() {
    do
    :: atomic { epoch < 4 -> if :: safe = !safe :: !safe fi; epoch++ }
    od
}

active proctype engine() {
    byte o, asked_under;
    bool permitted;
    do
    :: atomic { picture > 0 && o < ORDERS -> permit = true; asked_under = picture }   /* gate 2: announced, checked */
#ifdef CHECK_THEN_APPEND
       permitted = (safe && epoch == asked_under);
       atomic {
          if
          :: permitted ->
#else
       atomic {
          permitted = (safe && epoch == asked_under);
          if
          :: permitted ->
#endif
             PROVE(ADM, safe); entry[o] = 1; entry_epoch[o] = epoch; REACH(1)
          :: else -> REACH(2)
          fi;
          o++; permit = false; permitted = false; asked_under = 0 }
    od
}

inline at_the_venue(o) {
    if
    :: venue[o] == 0 && me >= venue_owner -> venue[o] = 1; venue_owner = me;
       PROVE(S1, entry_epoch[o] > said);
       PROVE(ADM, entry[o] != 3);                                          /* refused means: not, and never */
       REACH(3);
       if :: said > 0 -> REACH(4) :: else fi
    :: else -> REACH(5)                                                         /* a client id works once; an old owner not at all */
    fi
}

inline outcome(o, what) {
    if
    :: OWNS && entry[o] == 1 ->
       entry[o] = what;
       PROVE(ADM, !(what == 3 && venue[o] == 1));
       PROVE(ADM, !(what == 2 && venue[o] != 1));
       mine_may_be_sent = false
    :: else
    fi
}

proctype gateway(byte me) {
    byte o = NONE;
    do
    :: atomic { OWNS && WAITS && o == NONE -> o = FIRST;
          held[me] = HOLDS;
          if
          :: PASSES -> skip
          :: else -> goto blocked
          fi }
       atomic { at_the_venue(o) };                                              /* sent at any later time */
       atomic {                                                                 /* the venue's answer says that it has it */
          held[me] = false;
          if
          :: venue[o] == 1 && (me >= venue_owner) -> outcome(o, 2)
          :: else
          fi;
          o = NONE }
       goto next;
blocked:
       atomic {
          if
          :: me == 1 && mine_may_be_sent && MAYBE ->                            /* asked for there, and not taken any more */
             if :: venue[o] == 0 -> VOIDS; outcome(o, 3) :: venue[o] == 1 -> outcome(o, 2); REACH(6) :: else -> outcome(o, 3) fi
          :: else -> outcome(o, 3)
          fi;
          held[me] = false; o = NONE };
next:
       skip
    od
}

/* the watcher threads: open by an answer, close at any time */
active proctype watchers() {
    do
    :: atomic { safe -> if :: picture = epoch :: gate[0] = epoch :: holder == 1 -> gate[1] = epoch fi }
    :: atomic { picture > 0 -> picture = 0 }
    :: atomic { gate[0] > 0 -> gate[0] = 0 }
    :: atomic { gate[1] > 0 -> gate[1] = 0 }
    od
}

/* engage --wait */
active proctype waiting() {
    do
    :: atomic { !safe && picture == 0 && !permit && GATEWAYS_QUIET && said < epoch -> said = epoch; REACH(7) }
    od
}

init {
    run gateway(0);
    atomic { holder = 1; mine_may_be_sent = true; run gateway(1) }               /* the ownership of the first ran out */
}
