/* The acknowledgement comes by itself: once a stop is announced and the last order is back, the worker says so. And with
 * -DPERMITS: once trading is permitted again, the worker opens.
 *
 * Modelled: watcher.py and core/watch.py without periodic beats (a beat that is due anyway would hide a wake-up that was
 * lost), permits.py step by step (pop, look at draining, look whether any is held, reset, wake), the questions a stop leads
 * to: after a push, after an answer that was void, after an open beat, after drained.
 *
 *   -DTHREADS=n trading threads (2), -DORDERS=n each (2), -DNO_PUSH
 *   mutations: -DCOUNT_THEN_DRAINING -DNO_BEAT_SOON -DNO_TOLD -DNO_WAKE -DKEEP_CLOSED -DLOOK_ONCE
 */
#include "common.h"
#ifndef THREADS
#define THREADS 2
#endif
#ifndef ORDERS
#define ORDERS 2
#endif

bool engaged, quiet;
bool sock, picture = true;
byte held;
bool draining, wake;
/* the question under way */
bool asked, answered, beat, was_closed, voided;
bool answer_engaged;
byte count_sent;

#ifdef KEEP_CLOSED
#define OPENS skip
#else
#define OPENS picture = true
#endif
#ifdef NO_PUSH              /* a server that announces nothing: a renewal finds out */
#define PUSHED false
#else
#define PUSHED true
#endif
#ifdef NO_WAKE
#define RINGS false
#else
#define RINGS true
#endif
#ifdef NO_TOLD
#define TOLD_SO true
#else
#define TOLD_SO told
#endif
#ifdef NO_BEAT_SOON
#define SOON false
#else
#define SOON true
#endif

#ifdef LOOK_ONCE            /* as it was: a wake-up that finds a new permit is forgotten */
#define STILL_HELD skip
#else
#define STILL_HELD draining = true; if :: held == 0 -> wake = true :: else fi
#endif

/* counting and sending are not one step */
inline ask(is_beat) {
    if
    :: is_beat ->
#ifdef COUNT_THEN_DRAINING
       counted = held;
       draining = !picture;
#else
       draining = !picture;
       counted = held;
#endif
       if :: counted == 0 -> draining = false :: else fi;
       beat_soon = false
    :: else
    fi;
    d_step { asked = true; answered = false; beat = is_beat; was_closed = !picture; voided = false; count_sent = counted; counted = 0 }
}
active proctype watcher() {
    byte counted;
    bool told, beat_soon;
end:
    do
    :: sock ->
       picture = false;
       sock = false;
       if
       :: !asked -> ask(true)
       :: else -> voided = true
       fi
    :: asked && answered ->
       asked = false; answered = false;
       if
       :: voided -> voided = false; ask(true)
       :: !voided && !answer_engaged -> OPENS; told = false
       :: !voided && answer_engaged ->
          if :: beat && was_closed -> told = true :: else fi;
          picture = false;
          if
          :: !TOLD_SO || beat_soon -> ask(true)
          :: else
          fi
       fi
    :: wake ->
       wake = false;
       if
       :: held == 0 && !picture ->                       /* drained */
          if :: !asked -> ask(true) :: else -> beat_soon = SOON fi
       :: held > 0 && !picture -> STILL_HELD
       :: else
       fi
    :: !asked && !wake && !sock -> ask(false)            /* a renewal; each turn looks at everything that is there */
    od
}

active [THREADS] proctype trader() {
    byte orders;
    bool seen;
end:
    do
    :: orders < ORDERS && picture ->
       orders++;
       held++;                                           /* announced */
       seen = sock;
       if
       :: !seen && picture -> skip                       /* passed: it is sent */
       :: else
       fi;
       held--;                                           /* release */
       if
       :: draining ->
          if
          :: held == 0 -> draining = false; wake = RINGS
          :: else
          fi
       :: else
       fi;
       seen = false
    od
}

active proctype server() {
end:
    do
    :: atomic { asked && !answered ->
          if
          :: engaged && beat && was_closed && count_sent == 0 -> quiet = true
          :: else
          fi;
          answer_engaged = engaged; answered = true }
    od
}

active proctype operator() {
    atomic { engaged = true; sock = PUSHED };
#ifdef PERMITS
    (quiet);
    atomic { engaged = false; sock = PUSHED }
#endif
}

#ifdef PERMITS
ltl opens { [] ((quiet && !engaged) -> <> picture) }
#else
ltl acknowledged { [] (engaged -> <> quiet) }
#endif
