"""Measurements on the user's own machine. One measurement a file: a plain function that returns rows of data.

`calls`, `loop`, `observe`, `late`, `quiet` and `fleet` measure; `probe`, `bare`, `crowd`, `trader` and `agents` are the
child programs they watch. Everything happens on a server of its own, or under a scratch prefix of a given one.
"""
