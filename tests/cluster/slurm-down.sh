#!/usr/bin/env bash
# Ends what belongs to the SLURM in a folder, and nothing else: its jobs, the daemons in its pid files, and what is left of both.
DIR=$(realpath -m "${1:?folder}")
export SLURM_CONF="$DIR/slurm.conf"
timeout 5 scancel --quiet --user="$(id -un)" 2>/dev/null

# By force: no state is worth keeping, and asked politely the daemons take two to three seconds each.
for f in "$DIR"/pid/*.pid; do
  [ -s "$f" ] && kill -9 "$(cat "$f")" 2>/dev/null
done

# The steps that watch over jobs have the folder's files open, and jobs its settings in their environment.
for place in $(grep -lz '^slurmstepd' /proc/[0-9]*/cmdline 2>/dev/null); do
  find "${place%/*}/fd" -lname "$DIR/*" 2>/dev/null | grep -q . && kill -9 "$(basename "${place%/*}")" 2>/dev/null
done
for place in $(grep -lzxF "SLURM_CONF=$SLURM_CONF" /proc/[0-9]*/environ 2>/dev/null); do
  grep -qz '^SLURM_JOB_ID=' "$place" 2>/dev/null && kill -9 "$(basename "${place%/*}")" 2>/dev/null
done
exit 0
