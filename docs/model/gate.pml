/* One worker in the steps of the code, one server, operators.
 *
 * Modelled: gate.py (socket, then picture), permits.py (announce, check, send, release), watcher.py and core/watch.py
 * (close, drain, ask; void; trouble), ks_read and ks_beat as one atomic step each, the push written before +OK.
 * Left out: time. A lease may run out at any moment here or never, which permits more than any clock does.
 *
 *   -DCHANGES=n          how many changes operators make (default 3)
 *   mutations: -DPICTURE_FIRST -DDRAIN_FIRST -DASK_FIRST -DVOID_BELIEVED -DPUSH_AFTER_OK -DPERMIT_AFTER_CHECK -DNO_PERMITS
 *              -DCOUNT_FIRST -DNO_IN_FLIGHT -DCLOSED_WHEN_ANSWERED -DLATE_ACCEPTED -DANY_EPOCH
 */
#include "common.h"
#ifndef CHANGES
#define CHANGES 3
#endif
#ifndef TRADERS
#define TRADERS 1
#endif

/* the server */
bool safe = true;
byte epoch = 1;
bool armed;                 /* the worker's push connection is registered */
byte quiet_ever;            /* the highest epoch at which the worker's row ever said quiet */
byte told_ok;               /* the highest stop whose operator has read +OK */

/* questions on their way, one slot for each connection: the current one is `conn`, the other was given up */
typedef Question { bool sent; bool beat; bool closed; byte held; bool late };
Question question[2];
bit conn;
bool answered; bool answer_safe; byte answer_epoch;

/* the worker */
byte sock;                  /* unread bytes in the push socket */
byte picture;               /* the epoch under which the gate is open; 0: closed */
byte held;                  /* permits announced */
bool connected;

#ifdef COUNT_FIRST
#define COUNTED counted
#else
#define COUNTED held
#endif

/* the watcher sends a question; permits are counted in the moment of sending */
inline ask(is_beat) {
    d_step {
        question[conn].sent = true;
        question[conn].beat = is_beat;
        question[conn].closed = (picture == 0);
        question[conn].held = (is_beat -> COUNTED : 0);
        question[conn].late = false;
        under_way = true; voided = false
    }
}

active proctype watcher() {
    bool under_way, voided;
#ifdef COUNT_FIRST
    byte counted;
#endif
    do
    :: !connected && !question[1 - conn].sent ->       /* at most one question of old is on its way, to bound the search */
       d_step { conn = 1 - conn; connected = true }
#ifdef ASK_FIRST
       ask(true);
       armed = true
#else
       armed = true;
       ask(true)
#endif
    :: connected && sock > 0 ->                        /* pushed */
#ifdef COUNT_FIRST
       counted = held;
#endif
#ifdef DRAIN_FIRST
       sock = 0;
       picture = 0;
#else
       picture = 0;
       sock = 0;
#endif
       if
       :: !under_way -> ask(true)
       :: else -> voided = true
       fi
    :: connected && answered ->
       d_step { answered = false; under_way = false }
       if
#ifndef VOID_BELIEVED
       :: voided -> d_step { answer_safe = false; answer_epoch = 0 }; ask(true)
       :: !voided && answer_safe ->
#else
       :: answer_safe ->
#endif
          d_step { picture = answer_epoch; answer_safe = false; answer_epoch = 0 }
       :: else -> picture = 0                          /* a beat follows: asking is always possible below */
       fi
    :: connected && !under_way ->                      /* a renewal, a beat that is due, the last permit came back */
#ifdef COUNT_FIRST
       counted = held;
#endif
       if :: ask(false) :: ask(true) fi
    :: connected ->                                    /* trouble: close, drop */
       picture = 0;
       d_step { sock = 0; armed = false; answered = false; answer_safe = false; answer_epoch = 0; under_way = false; voided = false; connected = false }
    :: picture > 0 -> picture = 0                      /* the lease ran out */
    od
}

active [TRADERS] proctype trader() {
    byte floor, signal_epoch, seen;
    bool ready;
    do
    :: picture > 0 ->
       d_step { floor = told_ok; signal_epoch = picture }    /* the epoch that gate 1 gave; the check begins */
#ifdef ANY_EPOCH
       (picture > 0);                                  /* gate 2 much later than gate 1 */
       floor = told_ok;
#endif
#if !defined(PERMIT_AFTER_CHECK) && !defined(NO_PERMITS)
       held++;                                         /* announce */
#endif
#ifdef PICTURE_FIRST
       seen = picture;
       ready = (sock > 0);
#else
       ready = (sock > 0);
       seen = picture;
#endif
       if
#ifdef ANY_EPOCH
       :: !ready && seen > 0 ->
#else
       :: !ready && seen > 0 && seen == signal_epoch ->
#endif
          PROVE(P2, seen > floor);                     /* the permission is younger than the stop whose +OK was read */
          REACH(1);
#ifdef PERMIT_AFTER_CHECK
          held++;
#endif
          skip;                                        /* between check and send the process may stop for any time */
          if :: seen >= 3 -> REACH(2) :: else fi;
          PROVE(S1, signal_epoch > quiet_ever);              /* send: the order carries the epoch of its signal */
       :: else
       fi;
#if defined(PERMIT_AFTER_CHECK)
       if :: !ready && seen > 0 && seen == signal_epoch -> held-- :: else fi;
#elif !defined(NO_PERMITS)
       held--;                                         /* release */
#endif
       d_step { floor = 0; signal_epoch = 0; seen = 0; ready = 0 }
    od
}

/* ks_read and ks_beat: the message of either connection may be processed at any time */
active proctype server() {
    byte i;
    do
    :: atomic {
        if
        :: question[0].sent -> i = 0
        :: question[1].sent -> i = 1
        fi;
        question[i].sent = false;
        if
        :: question[i].beat ->
           if
#ifndef LATE_ACCEPTED
           :: question[i].late -> REACH(4)             /* the nonce is not above the last one: it writes nothing */
#endif
           :: else ->
              if :: question[1 - i].sent && i == conn -> question[1 - i].late = true :: else fi;
              if
#ifdef NO_IN_FLIGHT
              :: !safe && question[i].closed ->
#elif defined(CLOSED_WHEN_ANSWERED)
              :: !safe && question[i].held == 0 ->     /* "closed" is what the answer brings about, not what was */
#else
              :: !safe && question[i].closed && question[i].held == 0 ->
#endif
                 quiet_ever = epoch; REACH(3)
              :: else
              fi
           fi
        :: else
        fi;
        if
        :: i == conn && connected -> d_step { answered = true; answer_safe = safe; answer_epoch = (safe -> epoch : 0) }
        :: else                                        /* its connection was given up: nobody reads the answer */
        fi;
        d_step { question[i].beat = 0; question[i].closed = 0; question[i].held = 0; question[i].late = 0; i = 0 }
       }
    od
}

/* engage and reset, in one step with the push; +OK is read later. Two stops in a row happen as well. */
active proctype operators() {
    bool stop;
    do
    :: epoch <= CHANGES ->
       atomic {
          if :: stop = true :: !safe -> stop = false fi;
          safe = !stop; epoch++;
#ifndef PUSH_AFTER_OK
          if :: armed -> sock = 1 :: else fi
#endif
       };
       if :: stop -> told_ok = epoch :: else fi;
#ifdef PUSH_AFTER_OK
       if :: armed -> sock = 1 :: else fi;
#endif
       stop = false
    od
}
