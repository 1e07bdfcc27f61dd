"""Compares respid with redis-server on this machine. `scripts/bench` runs it, and it writes `docs/benchmarks.md`.

Look at the ratios within one run; absolute numbers depend on the machine. redis-benchmark generates the load wherever
it can. The modules:

- `machine`: the cores to use, and the versions of all programs.
- `servers`: respid and redis-server as processes pinned to a core, with their CPU time and memory.
- `ports`: free ports for them, and for those of the tests.
- `load`: runs redis-benchmark, and stops it between rounds. `sender`: sends from Python what redis-benchmark cannot.
- `rounds`: how the servers take turns, and what their rounds say together.
- `results`: figures, targets and tables. `plan`: the parameters of a run, which every part gets.
- `pipelines`, `streams`, `short_replies`, `transports`, `connections`, `cut`, `bulk`, `idle`, `deceptive`,
  `optimisations`: the parts of a run, with their cases and targets.
- `stripped`: the least server, which respid is compared with for short replies.
- `against`: this tree compared with another revision.
- `without`: respid without one of its optimisations.
- `report`, `plot`: the Markdown page and the SVG.
- `__main__`: the command-line options and the run.
- `scaling`: a separate program that records how the number of workers follows a load.
"""
