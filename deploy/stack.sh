#!/usr/bin/env bash
# Deploys docker-stack.yml on this machine and takes it away again: what `make stack` and `make stack-down` do.
# The images exist. Everything is asked of the engine that the docker client is set to.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly stack=waggle
# On the node of a swarm that this script made, so that `down` leaves other swarms alone.
readonly label=waggle.made-this-swarm
readonly wait_seconds=${WAGGLE_STACK_WAIT:-120}

say() { printf '%s\n' "$*"; }
die() { printf 'stack: %s\n' "$*" >&2; exit 1; }

# Engines before 23.0 refuse CAP_BPF and CAP_PERFMON by name, and reject the task for ever.
choose_capabilities() {
	local version
	version=$(docker version --format '{{.Server.Version}}') || die "no Docker engine answers: start it (systemctl start docker), or set DOCKER_HOST to one"
	if [ "${version%%.*}" -lt 23 ]; then
		export WAGGLE_CAP_BPF=${WAGGLE_CAP_BPF:-SYS_ADMIN} WAGGLE_CAP_PERFMON=${WAGGLE_CAP_PERFMON:-CAP_SYS_ADMIN}
		say "Engine $version: SYS_ADMIN instead of BPF and PERFMON."
	fi
}

swarm_state() { docker info --format '{{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}}'; }

ensure_swarm() {
	case $(swarm_state) in
	"active true") ;;
	"active false") die "this node is a worker; deploy from a manager" ;;
	inactive*)
		docker swarm init ${WAGGLE_ADVERTISE_ADDR:+--advertise-addr "$WAGGLE_ADVERTISE_ADDR"} >/dev/null ||
			die "the swarm could not be made; with several addresses, set WAGGLE_ADVERTISE_ADDR to one of them"
		docker node update --label-add $label=true "$(docker info --format '{{.Swarm.NodeID}}')" >/dev/null
		say "Made a swarm of this one node; make stack-down ends it."
		;;
	*) die "this node's swarm is $(swarm_state)" ;;
	esac
}

# Asks http://localhost:PORT/PATH and prints the body. No curl: bash is here anyway.
get() {
	local line
	exec 3<>"/dev/tcp/127.0.0.1/$1" || return 1
	printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$2" >&3
	read -r -t 5 -u 3 line || { exec 3>&-; return 1; }
	if [[ $line != HTTP/1.?\ 200* ]]; then exec 3>&-; return 1; fi
	while read -r -t 5 -u 3 line && [ "$line" != $'\r' ]; do :; done
	timeout 5 cat <&3
	exec 3>&-
}

# All tasks answer, by HTTP through the one path and by TCP through the other.
answers() {
	local port i names
	for port in 48686 48687; do
		names=$(for i in 1 2 3 4 5 6; do get $port / || exit 1; echo; done) || return 1
		[ "$(sort -u <<<"$names" | grep -c '^hostname: ')" -eq 3 ] || return 1
	done
	get 8404 /stats >/dev/null
}

# Runs a command every half second until it succeeds.
await() {
	local what=$1 end=$((SECONDS + wait_seconds))
	shift
	until "$@" 2>/dev/null; do
		if [ $SECONDS -ge $end ]; then return 1; fi
		sleep 0.5
	done
}

up() {
	choose_capabilities
	ensure_swarm
	WAGGLE_CFG_VERSION=$(cat deploy/haproxy.cfg deploy/extra.cfg | sha256sum | cut -c1-12)
	export WAGGLE_CFG_VERSION
	docker stack deploy --prune --resolve-image never -c docker-stack.yml $stack
	say "Waiting until all tasks answer."
	if ! await "the stack" answers; then
		docker stack ps --no-trunc $stack >&2 || true
		die "no answer from all tasks within $wait_seconds s"
	fi
	cat <<-END
		The swarm answers:
		  http://localhost:48686/           HTTP, balanced for each request in userspace
		  http://localhost:48687/           TCP, balanced for each connection in the kernel
		  http://localhost:48686/my-stats   statistics, as in deploy/haproxy.cfg
		  http://localhost:8404/stats       statistics of both;  /metrics for Prometheus
		Scale it: docker service scale ${stack}_web=5 (the configuration has 3 slots for tasks)
		Take it away: make stack-down
	END
}

gone() {
	local filter=label=com.docker.stack.namespace=$stack
	[ -z "$(docker ps -aq --filter $filter)$(docker network ls -q --filter $filter)" ]
}

down() {
	case $(swarm_state) in
	"active true") ;;
	*) say "This node manages no swarm: nothing to take away."; return ;;
	esac
	if docker stack ls --format '{{.Name}}' | grep -qx $stack; then
		docker stack rm $stack
		await "the end of the stack" gone || die "containers or networks of the stack are still there after $wait_seconds s"
	fi
	if [ "$(docker node inspect self --format "{{index .Spec.Labels \"$label\"}}")" != true ]; then
		say "The swarm was there before make stack: it stays."
	elif [ -n "$(docker service ls -q)" ]; then
		say "The swarm now has services of its own: it stays."
	else
		docker swarm leave --force
	fi
}

case ${1:-} in
up | down) "$1" ;;
*) die "usage: stack.sh up|down" ;;
esac
