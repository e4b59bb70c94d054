"""Telling others of changes: read from the record, made into jobs of the cleanup queue, delivered to webhooks.

Nobody who changes the switch sends anything. `herald` reads the record and `outbox` makes jobs of it, each entry once
for each webhook; the job posts it (`delivery`), in the form that its receiver wants (`forms`).
"""
