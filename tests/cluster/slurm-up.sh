#!/usr/bin/env bash
# A real SLURM on this one machine, in a folder of its own, for tests: tried with 22.05 of Debian bookworm.
#   apt-get install -y --no-install-recommends slurmctld slurmd slurm-client munge
#   SLURM_TEST_PORT=PORT slurm-up.sh DIR [NODES]   brings it up with emulated nodes (default 2); ports PORT, PORT+10, PORT+11, ...
#   slurm-down.sh DIR                              ends its jobs and its daemons
# Runs as the calling user (root, or any user: then only that user's jobs run). Loopback only.
set -euo pipefail
DIR=$(realpath -m "${1:?folder}"); NODES=${2:-2}
CPUS=${SLURM_TEST_CPUS:-2}; PORT=${SLURM_TEST_PORT:-16817}; ME=$(id -un)
HERE=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$DIR"/{state,spool,log,pid,munge}
chmod 755 "$DIR"; chmod 711 "$DIR/munge"
export PATH="$PATH:/usr/sbin:/sbin"

# 1. munge with a key and a socket of its own
[ -s "$DIR/munge/munge.key" ] || (umask 077; head -c 1024 /dev/urandom > "$DIR/munge/munge.key")
FORCE=(); [ "$(id -u)" = 0 ] && FORCE=(--force)   # munged warns about root and world-writable /tmp; --force goes on
munged "${FORCE[@]}" --socket="$DIR/munge/socket" --key-file="$DIR/munge/munge.key" --pid-file="$DIR/pid/munged.pid" \
  --log-file="$DIR/log/munged.log" --seed-file="$DIR/munge/seed" --num-threads=2

# 2. slurm.conf
sed -e "s|@DIR@|$DIR|g; s|@HOST@|$(hostname -s)|g; s|@USER@|$ME|g; s|@PORT@|$PORT|g; s|@NODES@|$NODES|g; s|@CPUS@|$CPUS|g" \
    -e "s|@FIRST@|$((PORT + 10))|g; s|@LAST@|$((PORT + 9 + NODES))|g" "$HERE/slurm.conf.in" > "$DIR/slurm.conf"
[ "$NODES" = 1 ] && sed -i -e "s/Port=[[][0-9-]*[]]/Port=$((PORT + 10))/" "$DIR/slurm.conf"
export SLURM_CONF="$DIR/slurm.conf"

# 3. the controller and one slurmd per emulated node
slurmctld -c
for n in $(seq 1 "$NODES"); do
  mkdir -p "$DIR/spool/n$n"
  slurmd -c -N "n$n"
done

# 4. wait until every node is idle
for _ in $(seq 100); do
  up=$(sinfo -h -N -p low -o '%N %t' 2>/dev/null | grep -c ' idle$' || true)
  [ "$up" = "$NODES" ] && break; sleep 0.1
done
[ "${up:-0}" = "$NODES" ] || { sinfo -N -l >&2 || true; tail -n 5 "$DIR"/log/*.log >&2; echo "nodes are not idle" >&2; exit 1; }
