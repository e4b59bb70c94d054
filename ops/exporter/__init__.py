"""Metrics of the switch and its fleet for Prometheus, read from Redis when they are asked for.

Nothing here is imported by a trading process or by the way to `engage`: the exporter is a process of its own, and
`prometheus_client` is needed by it alone (extra `metrics`).
"""
