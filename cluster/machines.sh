#!/usr/bin/env bash
# Ray with memvirt on machines that ssh reaches: machines.sh start WHEEL HEAD [HOST...], machines.sh stop HEAD [HOST...].
set -euo pipefail

usage() {
    echo "usage: $0 start WHEEL HEAD [HOST...] | $0 stop HEAD [HOST...]" >&2
    exit 2
}

PORT=${PORT:-6379}
PYTHON=${PYTHON:-python3}
VENV='$HOME/memvirt-venv'
RAY="RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0 $VENV/bin/ray"

start() {
    local wheel=$1 head=$2 host
    shift
    for host in "$@"; do
        scp -q "$wheel" "$host:/tmp/"
        ssh "$host" "$PYTHON -m venv $VENV && $VENV/bin/pip install --quiet --force-reinstall --no-deps /tmp/$(basename "$wheel") \
            && $VENV/bin/pip install --quiet /tmp/$(basename "$wheel")"
    done
    local address
    address=$(ssh "$head" "hostname -I | cut -d' ' -f1")
    ssh "$head" "test -s ~/.ray/auth_token || $VENV/bin/ray get-auth-token --generate > /dev/null"
    ssh "$head" "$RAY start --head --node-ip-address=$address --port=$PORT --include-dashboard=false --disable-usage-stats"
    shift
    for host in "$@"; do
        ssh "$head" 'cat ~/.ray/auth_token' | ssh "$host" 'umask 077; mkdir -p ~/.ray; cat > ~/.ray/auth_token'
        ssh "$host" "$RAY start --address=$address:$PORT --disable-usage-stats"
    done
    echo "Ray listens at $address:$PORT; run the sweep on $head with executor.address=auto"
}

stop() {
    local host
    for host in "$@"; do
        ssh "$host" "$VENV/bin/ray stop"
    done
}

case ${1:-} in
start) [ $# -ge 3 ] || usage; shift; start "$@" ;;
stop) [ $# -ge 2 ] || usage; shift; stop "$@" ;;
*) usage ;;
esac
