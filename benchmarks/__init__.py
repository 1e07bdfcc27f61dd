"""Compares respid with redis-server on this machine. `scripts/bench` runs it, and it writes `docs/benchmarks.md`.

Look at the ratios within one run; absolute numbers depend on the machine. The modules:

- `machine`: the cores to use, and the versions of all programs.
- `servers`: respid and redis-server as processes pinned to a core, with their CPU time and memory.
- `ports`: free ports for them, and for those of the tests.
- `sender`: sends batches as fast as they are answered. `steady`: sends at a fixed rate, for latencies.
- `load`: INCRs with fixed and random keys, to be sent.
- `rounds`: how the servers take turns, and what their rounds say together.
- `results`: figures, targets and tables. `plan`: the parameters of a run, which every part gets.
- `pipelines`, `streams`, `short_replies`, `drivers`, `transports`, `connections`, `cut`, `bulk`, `idle`, `deceptive`,
  `optimisations`: the parts of a run, with their cases and targets.
- `stripped`: the least server, which respid is compared with for short replies.
- `against`: this tree compared with another revision.
- `without`: respid without one of its optimisations.
- `report`, `plot`: the Markdown page and the SVG.
- `__main__`: the command-line options and the run.

Programs of their own, which `scripts/bench` does not run:

- `pythons`: compares interpreters, for docs/performance.md.
- `cores`: one worker beside two that share a port, for docs/cores.md.
- `million`: a million IDs drawn in several ways, for docs/bulk.md.
- `costs`: what each command costs per byte sent, for SECURITY.md.
- `scaling`: records how the number of workers follows a load, for docs/scaling.md.
- `moving`: how the traffic of drivers follows the workers, for docs/scaling.md.
"""
