"""respid measured beside redis-server on this machine: `scripts/bench` runs it, and it writes `docs/benchmarks.md`.

Ratios within one run are what counts: absolute figures are the machine's. No load generator of its own where
redis-benchmark can do the work. The map:

- `machine`: which cores, and the versions of all that takes part.
- `servers`: respid and redis-server as processes pinned to a core, with their CPU time and memory.
- `load`: redis-benchmark, run and read.
- `results`: figures, targets, and tables of them. `plan`: what every part is told.
- `pipelines`, `connections`, `cut`, `bulk`, `idle`: one part of the run each, with its targets beside its cases.
- `report`, `plot`: the Markdown and the SVG.
- `__main__`: the options, and the run.
"""
