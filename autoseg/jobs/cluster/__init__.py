"""Work on other machines, through a scheduler of Dask: the extra `cluster`.

- `settings`: what a lab writes down once about its SLURM.
- `client`: a scheduler, found or started, and the executor that gives work to it (the adapter of dask and distributed).
- `desk`: what is given to the scheduler and heard of it, one after the other.
- `rounds`: the same work on many items, in chunks.
- `hosting`: what workers do, and `hosted`: the processes that they start for it.
- `slurm`: workers started as jobs, and `slurm_jobs`: SLURM, asked by its programs.

A worker does nothing itself: workers are daemons, run tasks in threads and are shared. It starts a process for each run, and
one per thread for items, listens to it, and ends it when the command that asked for it has gone.
"""
