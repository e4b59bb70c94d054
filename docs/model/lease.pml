/* Time: how long a permission is believed, and how long an operator must wait until no gate is open.
 *
 * Modelled: core/lease.py and core/watch.py (deadline from sending, answers that come late, patience, nonce), a clock
 * that loses one tick in a lease, prove() of the controller (leases_out), a server that refuses writes, an old master
 * that was cut off, a permission with a time limit.
 * Left out: the push. It only closes, so without it more is permitted than with it.
 * A tick is a unit of global time; nothing else takes time, anything may be held up for any number of ticks.
 *
 *   sizes:     -DL=n lease (3), -DM=n how long a cut-off master still answers, in true time (2), -DWAIT=n what the
 *              operator waits, on its own clock
 *   worlds:    -DSLOW the worker's clock, -DFAST the operator's clock, -DSPLIT, -DREFUSE, -DTTL=n, -DAGAIN a second
 *              operator permits and engages again, with -DHAND by hand, which nobody has recorded yet
 *   mutations: -DRECEIPT -DKEEP -DNO_NONCE -DREAD_RENEWAL -DFIRST_STOP -DCLAIM_WHILE_SAFE -DLOOK_EARLY -DOVERLOOKS_HAND
 */
#include "common.h"
#ifndef L
#define L 3
#endif
#ifndef M
#define M 2
#endif
#ifdef SLOW
#define BOUND (L + 1)       /* L / (1 - rate error): one tick is lost in a lease */
#else
#define BOUND L
#endif
#ifdef SPLIT
#define SPLIT_MS M
#else
#define SPLIT_MS 0
#endif
#ifndef TTL_SLACK
#define TTL_SLACK 0
#endif
#ifdef FAST
#define GAIN(ticks) (((ticks) - 1 + L) / (L + 1))   /* a tick in each lease and one more, the first at once */
#else
#define GAIN(ticks) 0
#endif
#ifndef WAIT
#define WAIT (BOUND + SPLIT_MS + GAIN(BOUND + SPLIT_MS))
#endif
#define FOREVER (L + M + 4) /* times are not told apart beyond this */
#define OLDER(age, limit) age = MIN(age + 1, limit)

/* the server that the worker asks */
bool safe = true;           /* its state */
byte epoch = 1;
bool refuses;               /* it refuses writes, and with them ks_read */
byte since_refusal;
bool cut;                   /* it is an old master, cut off from its replicas; operators write to another */
byte since_cut;
#ifndef TTL
#define TTL 0
#endif
byte ttl = TTL;             /* what is left of a permission with a time limit; 0: none */

/* what is true: the newest stop, wherever it was written; by hand it has the epoch of what it stopped, until recorded */
bool engaged, recorded = true;
byte stop_epoch, since_stop, since_end;

/* the worker: two questions can be under way only where a silent connection is kept (KEEP) */
byte sent[2];               /* 0 none, 1 sent, 2 answered */
byte age[2];                /* local time since it was sent */
byte permits[2], limit[2];  /* the answer: the epoch (0: closed) and the time to live it told (0: none) */
bit now_asking;
byte picture, picture_age, picture_limit;
#define OPEN (picture > 0 && picture_age < picture_limit)
byte since_lost_tick = L + 1;

/* the operator */
byte op_clock;              /* the first operator's time since the stop it waits for */
byte op_gain;
bool op_waits;
byte said;                  /* proved or claimed: no gate is open under an older permission than this */

inline believe(which) {
    picture = permits[which];
#ifdef RECEIPT
    picture_age = 0;
#else
    picture_age = age[which];
#endif
    picture_limit = L;
#if TTL
    if :: limit[which] > 0 && limit[which] < L -> picture_limit = limit[which] :: else fi;
#endif
    if :: picture_age >= picture_limit -> picture = 0; REACH(4) :: else fi;   /* it came after its lease had run out */
    sent[which] = 0; age[which] = 0; permits[which] = 0; limit[which] = 0
}

/* The moment of a pass is the moment in which the check reads the clock. */
active proctype worker() {
    do
    :: atomic { sent[now_asking] == 0 -> sent[now_asking] = 1; age[now_asking] = 0 }
    :: atomic { sent[now_asking] == 2 && sent[1 - now_asking] == 0 -> believe(now_asking) }
#ifdef KEEP
    :: atomic { sent[now_asking] > 0 && sent[1 - now_asking] == 0 ->    /* patience is over, the connection stays */
          now_asking = 1 - now_asking; sent[now_asking] = 1; age[now_asking] = 0; picture = 0 }
    :: atomic { sent[1 - now_asking] == 2 ->
#ifdef NO_NONCE
          permits[now_asking] = permits[1 - now_asking]; limit[now_asking] = limit[1 - now_asking];
          sent[1 - now_asking] = 0; believe(now_asking) }
#else
          sent[0] = 0; sent[1] = 0; picture = 0 }      /* an answer to no question: the connection is dropped */
#endif
#else
    :: atomic { sent[now_asking] > 0 -> sent[now_asking] = 0; picture = 0 }   /* patience is over: closed and dropped */
#endif
    :: atomic { OPEN ->
          PROVE(S2, !engaged || picture > stop_epoch || since_stop < BOUND + SPLIT_MS);
          PROVE(P4, !refuses || since_refusal < BOUND);
#if TTL
          PROVE(P3, safe || engaged || since_end < TTL_SLACK);
          if :: ttl == 1 && picture_limit < L -> REACH(5) :: else fi;
#endif
          PROVE(S3, picture > said);
          if :: picture_age == L - 1 -> REACH(1) :: else fi;
          if :: engaged && picture < stop_epoch && since_stop == BOUND + SPLIT_MS - 1 -> REACH(2) :: else fi;
          if :: picture > 1 -> REACH(3) :: else fi
       }
    od
}

#ifdef READ_RENEWAL
#define ANSWERS true
#else
#define ANSWERS (!refuses && !(cut && since_cut > M))
#endif

active proctype server() {
    byte i;
    do
    :: atomic { (sent[0] == 1 || sent[1] == 1) && ANSWERS ->
          i = (sent[1 - now_asking] == 1 -> 1 - now_asking : now_asking);     /* one connection: in order */
          sent[i] = 2;
          permits[i] = (safe -> epoch : 0);
#if TTL
          limit[i] = (safe -> ttl : 0);
#endif
          i = 0 }
    od
}

active proctype clock() {
    bool lost;
    do
    :: atomic {
#ifdef SLOW
          if :: since_lost_tick > L -> lost = true :: true fi;
          since_lost_tick = (lost -> 0 : MIN(since_lost_tick + 1, L + 1));
#endif
          if
          :: !lost -> OLDER(age[0], L); OLDER(age[1], L); OLDER(picture_age, L)
          :: else
          fi;
          if :: sent[0] == 0 -> age[0] = 0 :: else fi;
          if :: sent[1] == 0 -> age[1] = 0 :: else fi;
          if :: picture_age >= L -> picture = 0 :: else fi;     /* the same to every check: closed for good */
          if :: picture == 0 -> picture_age = 0; picture_limit = 0 :: else fi;
          if :: engaged -> OLDER(since_stop, FOREVER) :: else fi;
          if :: refuses -> OLDER(since_refusal, FOREVER) :: else fi;
          if :: cut -> OLDER(since_cut, M + 1) :: else fi;
          if
          :: op_waits ->
             OLDER(op_clock, FOREVER);
#ifdef FAST
             if :: op_gain > L -> op_gain = 0; OLDER(op_clock, FOREVER) :: true fi;
             OLDER(op_gain, L + 1)
#endif
          :: else
          fi;
#if TTL
          if
          :: ttl > 1 -> ttl--
          :: ttl == 1 && safe -> ttl = 0; safe = false         /* it ends by itself */
          :: else -> if :: !safe && !engaged -> OLDER(since_end, FOREVER) :: else fi
          fi;
#endif
          lost = false
       }
    od
}

inline engage(as_epoch) {
    atomic {
        if :: !cut -> safe = false; epoch = as_epoch :: else fi;    /* cut: it is written to the other server */
        engaged = true; stop_epoch = as_epoch; since_stop = 0; ttl = 0
    }
}

#ifdef OVERLOOKS_HAND
#define REPLACED (recorded && stop_epoch != e)
#else
#define REPLACED (stop_epoch != e)
#endif
#define STANDS (engaged && !REPLACED)

/* engage --wait: at the end of the wait it looks once more and says what held then: no gate is open */
active proctype operator() {
    byte e;
    bool stood = true;
#ifdef FAST
    op_gain = L + 1;
#endif
    if
    :: true
#ifdef SPLIT
    :: cut = true
#endif
#ifdef REFUSE
    :: atomic { refuses = true; since_refusal = 0 }; goto done       /* engage is refused: "closed by" that bound */
#endif
    fi;
#if TTL
    goto done;
#endif
    engage(2);
    atomic { e = 2; op_clock = 0; op_waits = true };
    do
    :: atomic { op_clock >= WAIT -> break }
#ifdef AGAIN
    :: atomic { engaged && REPLACED ->                               /* a look sees that somebody engaged anew */
          e = stop_epoch; REACH(6);
#ifndef FIRST_STOP
          op_clock = 0
#endif
       }
#ifdef LOOK_EARLY
    :: atomic { stood = STANDS }                                     /* the last look, whenever it is */
#endif
#endif
    od;
    atomic {
#if defined(AGAIN) && !defined(LOOK_EARLY) && !defined(CLAIM_WHILE_SAFE)
       stood = STANDS;                                               /* sent when the leases had run out */
#endif
       if :: !stood -> goto done :: else fi;                         /* changed meanwhile: nothing is claimed */
       PROVE(P6, !OPEN);
       said = e; REACH(8)
    };
done:
    op_waits = false; op_clock = 0; e = 0; stood = true
}

#ifdef AGAIN
/* permits, and engages again */
active proctype second() {
    (engaged);
    atomic { engaged = false; safe = true; epoch = 3; since_stop = 0 };
#ifdef HAND
    atomic { engage(3); recorded = false; REACH(7) };
    recorded = true                                                  /* a beat has come by */
#else
    engage(4)
#endif
}
#endif
