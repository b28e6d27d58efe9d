"""Background work, one module per question.

- `machine`: which cores and what kind of device there are.
- `pool`: the same work on many items; results come in the order of the items.
- `series`: different work (`work.Run`), each piece with a name, its progress in one overview.

How work is carried out is one line in a table of each: `pool.EXECUTORS` and `series.EXECUTORS` hold this process and others
on this machine, and an executor elsewhere is one more entry. Behind them stand `side_by_side`, which follows runs,
`relay`, which sends their events home, `children`, whose processes end with this one, and `interruption`, which keeps
what asks a process to end.
"""
