"""The verbs of `killswitch-worker`, each loaded when it runs: `health` is asked every few seconds, by somebody who pays
for what it loads.
"""
