"""The rules, pure: no Redis, no clock, no thread, no environment. What is here can be proved with invented inputs."""
