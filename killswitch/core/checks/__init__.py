"""The checks before a launch, as data: facts go in, a finding comes out, nobody is asked in here.

finding   what a check says
facts     what was read and measured
server, storage, line, rights, fleet   the rules, one function each
catalogue which rules there are, in which order, and why each matters
"""
