#!/usr/bin/env bash
# A Slurm of one node on this machine, for tests: `slurm.sh start PLACE PORT PORT` starts it with
# everything that it keeps in PLACE/slurm, `crash` kills the node with all that runs on it, `node`
# starts the node again once Slurm has noticed, and `stop` ends everything.
set -euo pipefail
what=$1 place=$(realpath "$2") slurm=$(realpath "$2")/slurm
export SLURM_CONF=$slurm/slurm.conf PATH=$PATH:/usr/sbin:/sbin

# Everything of the node: its daemon, the keepers of its jobs, and the jobs, whose folder is PLACE.
crash() {
    kill -9 "$(cat "$slurm/slurmd.pid")" || true
    for process in /proc/[0-9]*; do
        case $(readlink "$process/cwd" || true) in "$place" | "$place"/*) ;; *) continue ;; esac
        case $(cat "$process/comm") in slurmctld | slurmscriptd | munged) continue ;; esac
        kill -9 "${process#/proc/}" || true
    done
} 2>/dev/null

until_node_is() {
    for _ in {1..600}; do [ "$(sinfo -h -o %T 2>/dev/null)" = "$1" ] && return; sleep 0.2; done
    tail -n 20 "$slurm"/log/* >&2
    exit 1
}

case $what in
start)
    mkdir -p "$slurm"/{state,spool,log}
    host=$(hostname -s)
    head -c 64 /dev/urandom >"$slurm/munge.key"
    chmod 400 "$slurm/munge.key"
    cat >"$SLURM_CONF" <<END
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$3
SlurmdPort=$4
SlurmdTimeout=10
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$slurm/munge.sock
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
StateSaveLocation=$slurm/state
SlurmdSpoolDir=$slurm/spool
SlurmctldPidFile=$slurm/slurmctld.pid
SlurmdPidFile=$slurm/slurmd.pid
SlurmctldLogFile=$slurm/log/slurmctld
SlurmdLogFile=$slurm/log/slurmd
NodeName=$host NodeAddr=127.0.0.1 CPUs=2 RealMemory=2000 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
    munged --force --socket="$slurm/munge.sock" --key-file="$slurm/munge.key" \
        --pid-file="$slurm/munged.pid" --log-file="$slurm/log/munged" --seed-file="$slurm/munge.seed"
    slurmctld -c
    slurmd
    until_node_is idle
    ;;
crash) crash ;;
node)
    until_node_is 'down*'
    slurmd
    ;;
stop)
    crash
    for daemon in slurmctld munged; do
        process=$(cat "$slurm/$daemon.pid")
        kill "$process" || true
        # It writes to its folder to the last.
        for _ in {1..100}; do [ -e "/proc/$process/exe" ] || break; sleep 0.1; done
    done
    ;;
esac
