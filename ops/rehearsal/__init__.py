"""The demonstration: a fleet of real processes is started, stopped by one SET in three scenarios, measured and judged.

plan       what to play, checked before anything is started
places     the two servers: the switch's and the queue's
processes  the worker processes, ended by their ids
line       a bare line to the switch's server, as redis-cli has it
stage      the fleet on its servers: place, wait, permit, stop
press      the SET, and the time until every worker is proved quiet
scenarios  normal operation; engaged mid-stream; engaged from the start
evidence   what the engines wrote down themselves
measure    figures from evidence and reports
verdict    which figures must hold, and whether they do
screen     the live table, or plain lines in a pipe
report     the figures as text and as JSON
perform    all of it in order, and the end of everything that was started
"""
