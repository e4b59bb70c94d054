/* What every model includes. A check is one compilation: the switches given with -D, and at most one SHOW.
 *
 * PROVE(property, condition): an assertion that carries the property's number, so that the verdict of a search names the
 *     property that was broken.
 * REACH(n): marks a place. With -DSHOW=n it is violated as soon as the place is reached, so that one can see a way there;
 *     with -DMARKS a search tells at its end which places it has been to: a proof is to be one about something. The mark
 *     is no part of the state.
 */
#ifdef MARKS
c_decl { static unsigned marks; __attribute__((destructor)) static void tell(void) { printf("marks %x\n", marks); } }
#define REACH(n) c_code { marks |= 1u << n; }
#else
#ifndef SHOW
#define SHOW 0
#endif
#define REACH(n) assert(SHOW != n)
#endif
#define PROVE(property, condition) assert(property == 0 || (condition))

/* Numbers: the hundreds are the kind (1: P, promises; 2: S, safety; 3: L, liveness), see docs/evidence.md. -DP8=0 leaves that property out,
 * where another check of the same model is to be seen. */
#ifndef P1
#define P1 101
#endif
#ifndef P2
#define P2 102
#endif
#ifndef P3
#define P3 103
#endif
#ifndef P4
#define P4 104
#endif
#ifndef P5
#define P5 105
#endif
#ifndef P6
#define P6 106
#endif
#ifndef P7
#define P7 107
#endif
#ifndef P8
#define P8 108
#endif
#ifndef P9
#define P9 109
#endif
#ifndef P10
#define P10 110
#endif
#ifndef S1
#define S1 201
#endif
#ifndef S2
#define S2 202
#endif
#ifndef S3
#define S3 203
#endif
#ifndef S4
#define S4 204
#endif
#ifndef S5
#define S5 205
#endif
#ifndef S6
#define S6 206
#endif
#ifndef S8
#define S8 208
#endif
#ifndef S9
#define S9 209
#endif
#ifndef S10
#define S10 210
#endif
#ifndef S11
#define S11 211
#endif
#ifndef S14
#define S14 214
#endif
#ifndef S16
#define S16 216
#endif
#ifndef L2
#define L2 302
#endif
#ifndef L5
#define L5 305
#endif
#ifndef OWN
#define OWN 401
#endif
#ifndef ADM
#define ADM 402
#endif

#define MAX(a, b) ((a) > (b) -> (a) : (b))
#define MIN(a, b) ((a) < (b) -> (a) : (b))
