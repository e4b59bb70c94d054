"""A fleet brought up in four phases, and taken down in order.

fleet_file  fleet.toml, checked as a whole
findings    what a launch checks besides preflight
standing    what stands in the way: engines with other settings, scopes that are engaged
phases      preflight, rehearsal, initialise, start: one function each
start       the engines: placed once, waited for
stopping    the engines: withdrawn, stopped, waited for
report      the deployment report, for people and for programs
perform     all of it in order, and what is said when it cannot go on
"""
