/* The membership, and what an operator may conclude from it: joining, leaving, two lives under one worker id, looks that
 * take several steps, a second operator, records that are lost.
 *
 * Modelled: ks_beat, ks_leave and ks_read as one atomic step each, the row of a worker, quiescence.py (engage, then looks:
 * members one by one, then the state), messages that outlive the connection they were sent on.
 * Left out: time and the push. Both only close. Steps inside a worker are those that gate.pml proves safe: a beat
 * carries closed and in flight of one moment.
 *
 *   worlds:    -DSAME_ID both lives write one row; -DLOSS, -DLOSS_LATER a row vanishes while its worker goes on; -DRETAIN a row is forgotten
 *              after long silence; -DONE_WORKER, -DBYSTANDER, -DSTRAYS beats that come late; -DCHANGES=n
 *              -DHAND the second operator may stop by hand, once, without an epoch until a beat comes by
 *   mutations: -DREAD_THEN_REGISTER -DSNAPSHOT_THEN_WRITE -DANY_QUIET -DNO_RIVAL -DRIVAL_BY_LAST_WORDS
 *              -DRIVAL_UNLESS_QUIET -DLEAVE_WITH_RIVAL -DOVERLOOKS_HAND
 *              -DLEAVE_WITH_ORDER -DLEAVE_ANY -DGONE_IS_QUIET -DEMPTY_IS_QUIET
 */
#include "common.h"
#ifndef CHANGES
#define CHANGES 3
#endif
#define LIVES 2
#if defined(SAME_ID) || defined(ONE_WORKER)
#define ROW(life) 0
#define ROWS 1
#else
#define ROW(life) life
#define ROWS 2
#endif

bool safe = true;
byte epoch = 1;
bool recorded = true;           /* false: the stop was written by hand, and has no epoch yet */
byte said;                      /* QUIET was said at this epoch */

/* instance: who wrote it, 0 when that one took its leave; rival: another life that may live on, 0 none */
typedef Row { bool member; bool known; byte instance; bool closed; byte held; byte quiet; byte rival };
Row row[ROWS];

bool alive[LIVES];              /* it runs, or is stopped and may wake */
bool looked;                    /* the operator has looked at the members once */

#ifdef STRAYS
/* a beat that is still on its way on a connection that was given up */
typedef Beat { bool sent; byte sender; bool closed; byte held; bool late };
Beat stray;
#endif

#ifdef READ_THEN_REGISTER
#define FIRST_IS_READ true
#define FIRST_BEAT skip
#else
#define FIRST_IS_READ false
#define FIRST_BEAT writes(me, picture == 0, token > 0); TELL
#endif
#ifdef STRAYS
#define TELL if :: stray.sent && stray.sender == me -> stray.late = true :: else fi
#define LEAVE_BEHIND if :: !stray.sent -> stray.sent = true; stray.sender = me; stray.closed = (picture == 0); stray.held = (token > 0) :: true fi
#define NO_STRAY (!stray.sent)
#else
#define TELL skip
#define LEAVE_BEHIND skip
#define NO_STRAY true
#endif
#if defined(LOSS_LATER)
#define LOSES looked            /* the operator has seen the rows by then */
#elif defined(LOSS)
#define LOSES true
#else
#define LOSES false
#endif
#ifdef RETAIN
#define FORGETS true
#else
#define FORGETS false
#endif
/* ks_leave */
#if defined(LEAVE_ANY)
#define MAY_LEAVE true
#elif defined(LEAVE_WITH_RIVAL)
#define MAY_LEAVE (row[ROW(me)].instance == me + 1)
#else       /* the row tells of nobody else */
#define MAY_LEAVE (row[ROW(me)].instance == me + 1 && !row[ROW(me)].rival || row[ROW(me)].instance == 0 && row[ROW(me)].rival == me + 1)
#endif
inline leaves() {
    if
    :: MAY_LEAVE -> clear_row(ROW(me)); REACH(2)
    :: else ->
       if
       :: row[ROW(me)].instance == me + 1 -> row[ROW(me)].instance = 0; REACH(6)   /* the other one's only trace */
       :: row[ROW(me)].instance != me + 1 && row[ROW(me)].rival == me + 1 -> row[ROW(me)].rival = 0; REACH(7)
       :: else
       fi
    fi
}
#ifdef LEAVE_WITH_ORDER
#define LEAVES true
#else
#define LEAVES (token == 0)
#endif
inline drop_stray() { stray.sent = false; stray.sender = 0; stray.closed = false; stray.held = 0; stray.late = false }

/* whether the other life, whose row this was, may be open or have an order under way */
#if defined(NO_RIVAL)
#define RIVAL(r) false
#elif defined(RIVAL_BY_LAST_WORDS)
#define RIVAL(r) (!(row[r].closed && row[r].held == 0))
#elif defined(RIVAL_UNLESS_QUIET)
#define RIVAL(r) (!(row[r].quiet == epoch && !safe))
#else
#define RIVAL(r) true
#endif

/* ks_beat */
inline writes(life, is_closed, holds) {
    row[ROW(life)].member = true;
    if :: !recorded -> epoch++; recorded = true :: else fi;
    if :: row[ROW(life)].rival == life + 1 -> row[ROW(life)].rival = 0 :: else fi;             /* none of itself */
    if
    :: row[ROW(life)].known && row[ROW(life)].instance != 0 && row[ROW(life)].instance != life + 1 && RIVAL(ROW(life)) ->
       row[ROW(life)].rival = row[ROW(life)].instance
    :: else
    fi;
    row[ROW(life)].known = true; row[ROW(life)].instance = life + 1;
    row[ROW(life)].closed = is_closed; row[ROW(life)].held = holds;
    row[ROW(life)].quiet = (!safe && is_closed && holds == 0 && !row[ROW(life)].rival -> epoch : 0)
}

inline clear_row(r) {
    row[r].member = false; row[r].known = false; row[r].instance = 0;
    row[r].closed = false; row[r].held = 0; row[r].quiet = 0; row[r].rival = 0
}

#define SAYS (safe -> epoch : 0)
#define NOTHING 99

/* A question and what the server does with it are one step here: what was sent with closed gates and nothing in flight
 * is still true when it is processed, and other beats prove nothing. gate.pml has them apart. The answer may take long. */
proctype worker(byte me) {
    byte picture, token, answer = NOTHING;
    bool registered;
    atomic { alive[me] = true };
    do
    :: atomic { answer == NOTHING && (!registered || FIRST_IS_READ) ->
          FIRST_BEAT;
          registered = true; answer = SAYS }
    :: atomic { answer == NOTHING && registered -> writes(me, picture == 0, token > 0); TELL; answer = SAYS }
    :: atomic { answer == NOTHING && registered -> answer = SAYS }                             /* ks_read */
    :: atomic { answer != NOTHING -> picture = answer; answer = NOTHING }
    :: atomic { answer != NOTHING || registered -> LEAVE_BEHIND; answer = NOTHING; picture = 0; registered = false }   /* trouble */
    :: atomic { picture > 0 && token == 0 -> PROVE(S3, picture > said); token = picture }     /* announced and checked */
    :: atomic { token > 0 -> PROVE(S1, token > said); if :: token > 2 -> REACH(1) :: else fi; token = 0 }   /* sent, released */
    :: atomic { LEAVES && registered ->                                                        /* close() */
          LEAVE_BEHIND;
          picture = 0; registered = false; answer = NOTHING;
          if
          :: leaves()
          :: true                                                                              /* Redis did not answer: the row stays */
          fi;
          break }
    :: atomic { registered -> LEAVE_BEHIND; picture = 0; token = 0; registered = false; answer = NOTHING; break }   /* killed */
    od;
    atomic { if :: token > 0 -> PROVE(S1, token > said) :: else fi; token = 0; alive[me] = false }
}

#ifdef STRAYS
active proctype network() {
    byte who;
    do
    :: atomic { stray.sent ->                                 /* held up, and here after all */
          if
          :: stray.late -> REACH(5)                           /* its nonce is not above the last one of this life */
          :: else -> who = stray.sender; writes(who, stray.closed, stray.held); who = 0
          fi;
          drop_stray() }
    :: atomic { stray.sent -> drop_stray() }
    od
}
#endif

active proctype server() {
    do
    :: atomic { LOSES && row[ROWS - 1].member -> clear_row(ROWS - 1) }
    :: atomic { FORGETS && row[ROWS - 1].member && row[ROWS - 1].held == 0 -> clear_row(ROWS - 1) }   /* silent for retain_ms */
    :: atomic { row[0].rival && !alive[row[0].rival - 1] && NO_STRAY -> row[0].rival = 0 }     /* so was the other life */
    od
}

#ifdef ANY_QUIET
#define QUIET_ROW(i) (row[i].quiet > 0)
#else
#define QUIET_ROW(i) (row[i].known && row[i].quiet >= e && row[i].held == 0)
#endif
#ifdef SNAPSHOT_THEN_WRITE
#define MEMBER(i) (snapshot & (1 << i))
#else
#define MEMBER(i) (row[i].member)
#endif
#ifdef GONE_IS_QUIET
#define VANISHED(i) false
#else
#define VANISHED(i) (before & (1 << i))
#endif
#if defined(EMPTY_IS_QUIET) || defined(BYSTANDER)
#define SOMEBODY true           /* BYSTANDER: another worker is a member, and quiet */
#else
#define SOMEBODY (members > 0)
#endif

#ifdef OVERLOOKS_HAND
#define VOIDS on_record
#else
#define VOIDS true              /* whatever is on record besides: proof of the older stop is void */
#endif

/* engage --wait. `before`: members of earlier looks, which may not vanish without a word. */
active proctype operator() {
    byte e, i, now_epoch;
    byte members, before;
    bool all_quiet, engaged, on_record;
#ifdef SNAPSHOT_THEN_WRITE
    byte snapshot;
    atomic { snapshot = row[0].member + 2 * row[ROWS - 1].member };
#endif
    atomic { safe = false; epoch++; e = epoch };
    do
    :: all_quiet = true; members = 0;
       i = 0;
       do
       :: atomic { i < ROWS ->
             if
             :: MEMBER(i) -> members = members | (1 << i); all_quiet = all_quiet && QUIET_ROW(i)
             :: else -> all_quiet = all_quiet && !VANISHED(i)
             fi;
             i++ }
       :: i == ROWS -> break
       od;
       atomic { engaged = !safe; now_epoch = epoch; on_record = recorded };
       if :: now_epoch > e && VOIDS -> e = now_epoch; all_quiet = false :: else fi;    /* proof of the older stop is void */
       if
       :: !engaged -> break                                   /* somebody changed it: UNCERTAIN */
       :: engaged && all_quiet && SOMEBODY ->
          atomic { said = MAX(said, now_epoch); REACH(3);      /* of the stop that stands: nothing permitted before it */
                   if :: members == 3 -> REACH(4) :: else fi }
          break
       :: engaged && !(all_quiet && SOMEBODY) -> before = before | members; looked = true
       :: break                                               /* the wait is over: UNCERTAIN */
       fi
    od
}

active proctype second_operator() {
#ifdef HAND
    bool pressed;
#endif
    do
    :: atomic { epoch < CHANGES -> if :: safe = !safe :: !safe fi; epoch++; recorded = true }
#ifdef HAND
    :: atomic { safe && !pressed -> pressed = true; safe = false; recorded = false; REACH(8) }
#endif
    od
}

init {
#ifdef ONE_WORKER
    run worker(0)
#else
    atomic { run worker(0); run worker(1) }
#endif
}
