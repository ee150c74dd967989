# What all jobs share: a job begins with `. /job/functions.sh`.

set -eu

# Says what comes next, with the seconds since the machine was switched on.
step() {
    read -r now _ </proc/uptime
    echo "[$now s] $*"
}

fail() {
    echo "FAILED: $*"
    exit 1
}

# wait_for SECONDS COMMAND…: until the command succeeds.
wait_for() {
    read -r now _ </proc/uptime
    end=$((${now%.*} + $1))
    limit=$1
    shift
    until "$@"; do
        read -r now _ </proc/uptime
        [ "${now%.*}" -lt $end ] || fail "waited $limit s for: $*"
        sleep 0.1
    done
}

not() { ! "$@" >/dev/null; }

# Whether a process listens on this TCP port.
listening() { netstat -ltn | grep -q ":$1 "; }

# serve PORT PROGRAM ARGUMENT…: starts a server and waits until it listens. Its process is $server, its log PROGRAM.log.
serve() {
    port=$1
    shift
    "$@" >"$1.log" 2>&1 &
    server=$!
    wait_for 60 ended_or_listening
    running $server || fail "$1 has ended"
}
ended_or_listening() { ! running $server || listening $port; }
running() { kill -0 "$1" 2>/dev/null; }

# When a job fails, the end of each log in the folder where it runs.
show_logs() {
    status=$?
    [ $status = 0 ] || for log in *.log; do
        echo "---- $log"
        tail -n 20 "$log" || true
    done
    exit $status
}
trap show_logs EXIT
