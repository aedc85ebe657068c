#!/bin/bash
# A Slurm cluster of one node on this machine, for tests: as root, with Debian's slurm-wlm and munge.
#
#     scripts/slurm_cluster.sh FOLDER COMMAND...   # the cluster lives as long as the command
#
# Everything that it writes lies in FOLDER. What ends early says why on stderr, and the exit code is 69 where a
# cluster cannot be had here (EX_UNAVAILABLE of sysexits.h), else the command's.
set -euo pipefail

unavailable() {
  echo "Cannot start a Slurm cluster: $*" >&2
  exit 69
}

[ $# -ge 2 ] || unavailable "name a folder and a command"
folder=$1
shift
[ "$(id -u)" = 0 ] || unavailable "only root can start its daemons"
for program in munged mungekey slurmctld slurmd sbatch scontrol; do
  PATH=$PATH:/usr/sbin command -v "$program" >/dev/null || unavailable "there is no $program; install slurm-wlm and munge"
done
PATH=$PATH:/usr/sbin

mkdir -p "$folder"/{state,spool,munge}
# munged minds who may write where its socket and its key lie.
chmod 700 "$folder/munge"
chmod 755 "$folder"
host=$(hostname -s)
port=$((20000 + RANDOM % 20000))
cpus=$(nproc)

cat >"$folder/slurm.conf" <<CONF
ClusterName=mirage
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPort=$port
SlurmdPort=$((port + 1))
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket
CryptoType=crypto/munge
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobRequeue=1
KillWait=30
MinJobAge=300
SchedulerType=sched/backfill
SchedulerParameters=requeue_delay=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cpus State=UNKNOWN
PartitionName=test Nodes=$host Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
CONF
export SLURM_CONF=$folder/slurm.conf

daemons=()
stop() {
  # A daemon that ends leaves its jobs alone.
  scancel --user="$(id -un)" 2>/dev/null || true
  for _ in $(seq 100); do [ -z "$(squeue --noheader 2>/dev/null)" ] && break || sleep 0.1; done
  for pid in "${daemons[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${daemons[@]}"; do wait "$pid" 2>/dev/null || true; done
}
trap stop EXIT

mungekey --create --keyfile="$folder/munge/key"
munged --foreground --force --key-file="$folder/munge/key" --socket="$folder/munge/socket" \
  --pid-file="$folder/munge/pid" --log-file="$folder/munge/log" --seed-file="$folder/munge/seed" \
  >"$folder/munged.log" 2>&1 &
daemons+=($!)
for _ in $(seq 50); do [ -S "$folder/munge/socket" ] && break || sleep 0.1; done
[ -S "$folder/munge/socket" ] || unavailable "munged: $(tail -n 1 "$folder/munged.log")"
slurmctld -D -f "$SLURM_CONF" >/dev/null 2>&1 &
daemons+=($!)
slurmd -D -f "$SLURM_CONF" -N "$host" >/dev/null 2>&1 &
daemons+=($!)
for _ in $(seq 300); do
  case $(sinfo --noheader --format=%T 2>/dev/null || true) in idle) break ;; esac
  sleep 0.1
done
[ "$(sinfo --noheader --format=%T 2>/dev/null)" = idle ] ||
  unavailable "$(tail -qn 1 "$folder/slurmctld.log" "$folder/slurmd.log" 2>/dev/null | tr '\n' ';')"

code=0
"$@" || code=$?
exit "$code"
