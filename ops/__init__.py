"""The operator's shell: commands, the demonstration, the benchmarks, and the two executables `demo` and `test`.

Nothing here is imported by the library or by the workers. Commands import what they need when they run, so that
`engage` is on its way before anything else is loaded.
"""
