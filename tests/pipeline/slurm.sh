#!/bin/bash
# Slurm on one machine for as long as a command runs, in namespaces that take every daemon with them at the end:
# unshare --net --uts --pid --fork --mount-proc tests/pipeline/slurm.sh FOLDER COMMAND...
set -e
place=$1; shift
ip link set lo up
ip link add inner type veth peer name outer && ip addr add 10.99.0.1/24 dev inner && ip link set inner up && ip link set outer up
hostname localhost  # both daemons look up their own name
mkdir -p "$place/state" "$place/spool"
chmod 755 "$place"
dd if=/dev/urandom of="$place/munge.key" bs=128 count=1 status=none && chmod 400 "$place/munge.key"
munged --force --key-file="$place/munge.key" --socket="$place/munge" --pid-file="$place/munge.pid" \
    --log-file="$place/munge.log" --seed-file="$place/munge.seed"
cat >"$place/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$place/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SlurmdParameters=config_overrides
ReturnToService=2
MinJobAge=10
StateSaveLocation=$place/state
SlurmdSpoolDir=$place/spool
SlurmctldPidFile=$place/slurmctld.pid
SlurmdPidFile=$place/slurmd.pid
SlurmctldLogFile=$place/slurmctld.log
SlurmdLogFile=$place/slurmd.log
NodeName=localhost NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes=localhost Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF="$place/slurm.conf"
slurmctld -f "$SLURM_CONF"
slurmd -f "$SLURM_CONF" -N localhost
for _ in $(seq 60); do sinfo --noheader --states=idle 2>/dev/null | grep -q idle && break; sleep 0.5; done
"$@"
