# A real Slurm on one machine, for developers and tests: what up, down, restart and status share. Sourced, never run.
#
# Problem: a cluster is needed to know that jobs are requeued, preempted and accounted, and nobody has a spare one.
# Conventions:
# - A service is one daemon: munged, mariadbd, slurmdbd, slurmctld, and a slurmd for each node, named after it. All run in the foreground of a
#   session of their own. run/SERVICE.pid has the process id, log/SERVICE.start.log what it said on start, log/SERVICE.log its log.
# - Only processes whose id was recorded there are stopped, and only while they still carry the daemon's name.
# - Each slurmd and the controller have a host name of their own (a UTS namespace), which /etc/hosts maps to 127.0.0.1: so no daemon listens on
#   another address, whatever the machine is called, and a job's host name is its node's.
# - Munge has a key and a socket of its own, MariaDB a socket only: neither meets one that the machine may have.
# Environment: OSTINATO_SLURM, the folder of all state (default /var/lib/ostinato-slurm).
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
STATE=${OSTINATO_SLURM:-/var/lib/ostinato-slurm}
CONFIG=/etc/slurm
MARK="# Ostinato's cluster/dev"                         # first line of files that are ours, end of lines that are ours
NODES="cpu1 cpu2 gpu1"
SERVICES="munged mariadbd slurmdbd slurmctld $NODES"    # in the order of their start
unset "${!SLURM_@}"                                     # called from a job or under SLURM_CONF, we still mean this cluster
PATH=$PATH:/usr/sbin:/sbin

can_name_hosts() {    # whether this machine lets us have host names of our own; containers without CAP_SYS_ADMIN do not
    unshare --uts hostname ostinato-slurm 2>/dev/null
}

if can_name_hosts; then CONTROLLER=ostinato-slurm; else CONTROLLER=$(hostname); fi

fail() {    # MESSAGE: one line that says what to do, exit status 1
    echo "cluster/dev: $*" >&2
    exit 1
}

begin_alone() {    # what is common to commands that change something: root, and one at a time
    [ "$(id -u)" = 0 ] || fail "this starts and stops daemons and needs root: sudo $0"
    case $STATE in /*/*) ;; *) fail "OSTINATO_SLURM=$STATE: a folder of its own is needed, as an absolute path" ;; esac
    exec 9>"/run/ostinato-slurm.lock"
    flock --timeout 120 9 || fail "another up, down or restart has been at work for 120 s (it holds /run/ostinato-slurm.lock)"
}

is_ours() {    # FILE: whether we wrote it
    [ "$(head -n 1 "$1" 2>/dev/null)" = "$MARK" ]
}

program_of() {    # SERVICE: the name of its program
    case " $NODES " in *" $1 "*) echo slurmd ;; *) echo "$1" ;; esac
}

is_alive() {    # SERVICE: whether the process recorded for it runs, and is neither a zombie nor another one with a recycled id
    local pid name state
    { read -r pid <"$STATE/run/$1.pid" && read -r _ name state _ <"/proc/$pid/stat"; } 2>/dev/null || return 1
    [ "$name" = "($(program_of "$1"))" ] && [ "$state" != Z ]
}

wait_until() {    # SECONDS CONDITION...: status 1 when the condition is not met in time
    local end=$((${EPOCHREALTIME/./} + $1 * 1000000))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "${EPOCHREALTIME/./}" -lt "$end" ] || return 1
        sleep 0.1
    done
}

launch() {    # SERVICE COMMAND...: in the background, on a host of its own name, with none of our environment; records its process id
    local name=$1 host=$CONTROLLER
    [ "$(program_of "$1")" != slurmd ] || host=$1
    shift
    local on_host=(unshare --uts sh -c 'hostname "$0" && exec "$@"' "$host")
    can_name_hosts || on_host=()
    (cd / && exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin setsid "${on_host[@]}" "$@") >"$STATE/log/$name.start.log" 2>&1 </dev/null 9>&- &
    echo $! >"$STATE/run/$name.pid"
}

mariadb_client() {    # ARGUMENTS...
    mariadb --no-defaults --socket="$STATE/mariadbd/socket" "$@"
}

node_answers() {    # NODE: whether the controller has heard of it and would give it jobs
    sinfo --noheader --Node --nodes="$1" --format=%t | head -n 1 | grep -qxE 'idle|mix|alloc|comp|resv'
}

answers() {    # SERVICE: whether it does its work
    case $1 in
        munged) munge --no-input --socket="$STATE/munge/socket" ;;
        mariadbd) mariadb_client --execute='select 1' ;;
        slurmdbd) sacctmgr --noheader show cluster ;;
        slurmctld) scontrol ping | grep -q UP ;;
        *) node_answers "$1" ;;
    esac
}

answers_or_died() {    # SERVICE; just launched, its process has another name still, so death is told by the process id alone
    { is_alive "$1" && answers "$1"; } || ! kill -0 "$(cat "$STATE/run/$1.pid")"
}

start() {    # SERVICE: unless it runs; returns when it answers
    is_alive "$1" || "launch_$(program_of "$1")" "$1"
    await "$1"
}

await() {    # SERVICE, which runs or was launched a moment ago: until it answers
    wait_until 30 answers_or_died "$1" || fail "$1 does not answer after 30 s, see $STATE/log/$1.log and $1.start.log there"
    is_alive "$1" || fail "$1 stopped at once: $(tail -n 1 "$STATE/log/$1.start.log") (all of it: $STATE/log/$1.start.log)"
}

launch_munged() {
    [ -s "$STATE/munge/key" ] || (umask 077 && head -c 1024 /dev/urandom >"$STATE/munge/key" && chown munge: "$STATE/munge/key")
    rm -f "$STATE/munge/socket"*
    launch munged setpriv --reuid=munge --regid=munge --clear-groups munged --foreground --socket="$STATE/munge/socket" \
        --key-file="$STATE/munge/key" --log-file="$STATE/munge/log" --pid-file="$STATE/munge/pid" --seed-file="$STATE/munge/seed"
}

make_database() {    # in memory, where it takes a tenth of the time, then copied to its place
    local draft
    draft=$(mktemp -d -p /dev/shm) && chown slurm: "$draft"
    mariadb-install-db --no-defaults --user=slurm --datadir="$draft/data" --skip-test-db --innodb-log-file-size=16M \
        >"$STATE/log/mariadbd.install.log" 2>&1 || fail "the database could not be made, see $STATE/log/mariadbd.install.log"
    cp -a "$draft/data" "$STATE/mariadbd/draft" && mv "$STATE/mariadbd/draft" "$STATE/mariadbd/data" && rm -r "$draft"
}

launch_mariadbd() {
    rm -rf "$STATE/mariadbd/draft"
    [ -d "$STATE/mariadbd/data" ] || make_database
    launch mariadbd mariadbd --no-defaults --user=slurm --datadir="$STATE/mariadbd/data" --socket="$STATE/mariadbd/socket" --skip-networking \
        --pid-file="$STATE/mariadbd/pid" --innodb-buffer-pool-size=64M --innodb-log-file-size=16M --innodb-lock-wait-timeout=900
}

launch_slurmdbd() {
    mariadb_client --execute='create database if not exists slurm_accounting'
    launch slurmdbd env MYSQL_UNIX_PORT="$STATE/mariadbd/socket" slurmdbd -D
}

launch_slurmctld() {
    launch slurmctld slurmctld -D
}

launch_slurmd() {    # NODE
    launch "$1" slurmd -D -N "$1"
}

stop() {    # SERVICE...: all at once, by SIGTERM, and after 10 s by SIGKILL
    local name
    for name; do ! is_alive "$name" || kill -TERM "$(cat "$STATE/run/$name.pid")" 2>/dev/null || true; done
    for name; do
        wait_until 10 is_dead "$name" || kill -KILL "$(cat "$STATE/run/$name.pid")" 2>/dev/null || true
        rm -f "$STATE/run/$name.pid"
    done
}

is_dead() {    # SERVICE
    ! is_alive "$1"
}
