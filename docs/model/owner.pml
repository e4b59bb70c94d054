/* One engine runs once: the ownership lease in the queue's Redis, and a paused owner that wakes.
 *
 * Modelled: workers/ownership.py and own_acquire, own_renew, own_release (one atomic step each): a record with a life in
 * Redis, belief for a shorter time counted from sending, the wait of one life after a record that was not given back,
 * tokens; Redis's wall clock may be set (the record ends early); a clock that loses one tick in a life.
 * A tick is a unit of global time; nothing else takes time, anything may be held up for any number of ticks.
 *
 *   sizes:     -DLIFE=n (4), -DBELIEF=n (3)
 *   worlds:    -DSLOW the workers' clocks, -DJUMP, -DSAME_NAME both ask under one name, -DFAST_REDIS it ends records a tick early,
 *              -DFAST_TAKER whoever waits gains a tick,
 *              -DSEND orders are sent some time after the check
 *   venue:     -DVENUE=0 takes any order, 1 refuses owners up to the one a cleanup job named, 2 refuses owners below the
 *              highest that the new owner named before it traded
 *   mutations: -DRECEIPT -DREVIVE -DNO_WAIT -DRELEASE_NOTED -DRELEASE_ANY -DRENEW_ANY -DONE_TOKEN
 */
#include "common.h"
#ifndef LIFE
#define LIFE 4
#endif
#ifndef BELIEF
#define BELIEF 3
#endif
#ifndef VENUE
#define VENUE 0
#endif
#ifdef FAST_TAKER
#define GAINS true
#else
#define GAINS false
#endif
#ifdef FAST_REDIS
#define ENDS_AT 1           /* its clock runs fast: the record ends a tick early */
#else
#define ENDS_AT 0
#endif
#define TOKENS 4            /* at most so many takings */

byte owner, token, ttl;     /* the record */
byte given, released;       /* the last token given, and given back */

typedef Request { byte kind; byte age; byte answer; bool clear };      /* kind 0 none, 1 acquire, 2 renew */
Request ask[2];
byte until[2], wait[2];     /* local time for which it believes, and before which it may not act */
byte mine[2];               /* the token it holds */
byte in_flight[2];          /* an order after its check: the token it carries */
byte acted[2];              /* the token under which it last passed its check */
byte fence;                 /* owners that the venue refuses: up to this */
byte lost_tick[2];

#define OWNS(w) (until[w] > 0 && wait[w] == 0)
#ifdef SAME_NAME
#define NAME(w) (1 + 0 * w)
#else
#define NAME(w) (w + 1)
#endif

#define acted_since(t) (acted[1 - _pid] > t)

#ifdef RECEIPT
#define LEFT(w) BELIEF
#else
#define LEFT(w) (BELIEF > ask[w].age -> BELIEF - ask[w].age : 0)
#endif
#ifdef NO_WAIT
#define WAITS(w) 0
#else
#define WAITS(w) (ask[w].clear -> 0 : LIFE)
#endif
#ifdef REVIVE
#define KEPT(w) true
#else
#define KEPT(w) (until[w] > 0)
#endif
#ifdef RELEASE_NOTED
#define NOTED(w) true
#else
#define NOTED(w) (wait[w] == 0)
#endif
#ifdef RELEASE_ANY
#define RELEASES(w) true
#else
#define RELEASES(w) (token == mine[w])
#endif
#ifdef RENEW_ANY
#define RENEWS(w) (owner > 0)
#else
#define RENEWS(w) (owner > 0 && token == mine[w])
#endif

inline forget(w) { ask[w].kind = 0; ask[w].age = 0; ask[w].answer = 0; ask[w].clear = false }
inline drop(w) { until[w] = 0; wait[w] = 0; mine[w] = 0 }

active [2] proctype worker() {
    do
    :: atomic { ask[_pid].kind == 0 && until[_pid] == 0 && given < TOKENS -> ask[_pid].kind = 1 }
    :: atomic { ask[_pid].kind == 0 && until[_pid] > 0 -> ask[_pid].kind = 2 }
    :: atomic { ask[_pid].kind == 1 && ask[_pid].answer > 0 ->                  /* acquired */
          if
          :: ask[_pid].answer < 99 ->
             mine[_pid] = ask[_pid].answer; until[_pid] = LEFT(_pid); wait[_pid] = WAITS(_pid);
             if :: until[_pid] == 0 -> drop(_pid) :: wait[_pid] > 0 -> REACH(2) :: else fi
          :: else
          fi;
          forget(_pid) }
    :: atomic { ask[_pid].kind == 2 && ask[_pid].answer > 0 ->                  /* renewed, or not */
          if
          :: ask[_pid].answer < 99 && KEPT(_pid) -> until[_pid] = LEFT(_pid); if :: until[_pid] == 0 -> drop(_pid) :: else fi
          :: else -> drop(_pid)
          fi;
          forget(_pid) }
    :: atomic { ask[_pid].kind > 0 -> forget(_pid) }                           /* no answer: what was done is done */
    :: atomic { until[_pid] > 0 && ask[_pid].kind == 0 ->                      /* given back */
          if
          :: owner > 0 && RELEASES(_pid) -> if :: NOTED(_pid) -> released = mine[_pid] :: else fi; owner = 0; token = 0; ttl = 0
          :: else
          fi;
          if :: in_flight[_pid] == 0 -> drop(_pid) :: else -> until[_pid] = 0; wait[_pid] = 0; mine[_pid] = 0 fi }
    :: atomic { OWNS(_pid) && in_flight[_pid] == 0 ->                           /* owns() */
          PROVE(OWN, !OWNS(1 - _pid)); REACH(1);
          if :: given > 1 -> REACH(3) :: else fi;
#ifdef SEND
#if VENUE == 2
          fence = MAX(fence, mine[_pid] - 1);                                  /* named before it trades */
#endif
          in_flight[_pid] = mine[_pid]; acted[_pid] = mine[_pid]
#endif
       }
#ifdef SEND
    :: atomic { in_flight[_pid] > 0 ->                                         /* sent at any later time */
          if
          :: in_flight[_pid] > fence -> PROVE(OWN, !acted_since(in_flight[_pid]))
          :: else -> REACH(4)
          fi;
          in_flight[_pid] = 0 }
#endif
    od
}

active proctype redis() {
    byte w;
    do
    :: atomic {
          if :: ask[0].kind > 0 && ask[0].answer == 0 -> w = 0 :: ask[1].kind > 0 && ask[1].answer == 0 -> w = 1 fi;
          if
          :: ask[w].kind == 1 && owner > 0 && owner != NAME(w) -> ask[w].answer = 99
          :: ask[w].kind == 1 && !(owner > 0 && owner != NAME(w)) && given == TOKENS -> ask[w].answer = 99
          :: ask[w].kind == 1 && !(owner > 0 && owner != NAME(w)) && given < TOKENS ->
             ask[w].clear = (given == 0 || released == given);
#ifdef ONE_TOKEN
             given = 1;
#else
             given++;
#endif
             owner = NAME(w); token = given; ttl = LIFE; ask[w].answer = given
          :: ask[w].kind == 2 && RENEWS(w) -> ttl = LIFE; ask[w].answer = 1
          :: ask[w].kind == 2 && !RENEWS(w) -> ask[w].answer = 99
          fi;
          w = 0 }
#ifdef JUMP
    :: atomic { owner > 0 -> owner = 0; token = 0; ttl = 0 }                   /* the wall clock was set forward */
#endif
#if VENUE == 1
    :: atomic { given > 1 && fence < given - 1 -> fence = given - 1 }          /* the cleanup job for the dead owner runs */
#endif
    od
}

inline tick(w) {
    lost = false;
#ifdef SLOW
    if :: lost_tick[w] >= BELIEF -> lost = true :: true fi;
    lost_tick[w] = (lost -> 0 : MIN(lost_tick[w] + 1, BELIEF));
#endif
    if
    :: !lost ->
       if :: until[w] == 1 -> until[w] = 0; mine[w] = 0; wait[w] = 0 :: until[w] > 1 -> until[w]-- :: else fi;
       if :: wait[w] > 0 -> wait[w]-- :: else fi;
       if :: GAINS && wait[w] == LIFE - 1 -> wait[w]-- :: else fi;       /* one tick of its wait never was */
       if :: ask[w].kind > 0 -> ask[w].age = MIN(ask[w].age + 1, BELIEF) :: else fi
    :: else
    fi
}

active proctype clock() {
    bool lost;
#ifdef SLOW
    lost_tick[0] = BELIEF; lost_tick[1] = BELIEF;
#endif
    do
    :: atomic {
          tick(0); tick(1); lost = false;
          if :: ttl > 0 -> ttl--; if :: ttl == ENDS_AT -> ttl = 0; owner = 0; token = 0 :: else fi :: else fi }
    od
}
