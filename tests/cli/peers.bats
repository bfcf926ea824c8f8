#!/usr/bin/env bats
# Other people's netcats at the other end, in both roles and all directions.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154
# quick: no

load lib/common

# Every peer in both roles; ports are ours, as the test has a network of its own.
# Peers differ in what they do at the end of their input, so the side that only
# receives gets no input, and the duplex test uses those that half-close. A
# listening nc.openbsd leaves with the answer half sent if it sees our end of
# file at a moment when its buffer is empty, so there we --hold.

# prepare: the commands. listen_X PORT and connect_X PORT.
prepare='
	listen_openbsd() { start peer nc.openbsd -N -l 127.0.0.1 "$1"; }
	connect_openbsd() { start peer nc.openbsd -N 127.0.0.1 "$1"; }
	listen_traditional() { start peer nc.traditional -q 5 -l -p "$1"; }
	connect_traditional() { start peer nc.traditional -q 5 127.0.0.1 "$1"; }
	listen_ncat() { start peer ncat -l 127.0.0.1 "$1"; }
	connect_ncat() { start peer ncat 127.0.0.1 "$1"; }
	listen_socat() { start peer socat -t 5 - "TCP-LISTEN:$1"; }
	connect_socat() { start peer socat -t 5 - "TCP:127.0.0.1:$1"; }

	# Wait until somebody listens on the port.
	await_port() {
		local hex end=$((SECONDS + 10))
		hex=$(printf %04X "$1")
		until grep -Eq ":$hex 0+:0000 0A " /proc/net/tcp; do
			((SECONDS < end))
			nap
		done
	}

	port=4000
	# meet ROLE PEER [OPTION...]: haul in this role and the peer, with in as
	# the input of haul and answer as the peer'"'"'s; what they receive is in
	# out and got.
	meet() {
		local role=$1 peer=$2
		shift 2
		port=$((port + 1))
		rm -f out got
		case $role in
		connect | send)
			[[ $peer != openbsd || $answer == empty ]] ||
				set -- --hold
			"listen_$peer" "$port" <"$answer" >got
			await_port "$port"
			start haul haul "$role" "$@" 127.0.0.1 "$port" \
				<"$in" >out
			;;
		*)
			serve haul haul "$role" "$@" 127.0.0.1 "$port" \
				<"$in" >out
			"connect_$peer" "$port" <"$answer" >got
			;;
		esac
		await haul
		is 0 haul.err
		await peer
		echo "$role and $peer: equal?" >&2
		same got "$in"
		same out "$answer"
	}
	data 1000003 data1
	data 700001 data2
	: >empty
'

@test "haul to nc.openbsd, nc.traditional, ncat, socat" {
	in_space "$prepare"'
		in=data1 answer=empty
		for peer in openbsd traditional ncat socat; do
			for role in listen connect; do
				meet "$role" "$peer"
			done
		done'
}

@test "nc.openbsd, nc.traditional, ncat, socat to haul" {
	in_space "$prepare"'
		in=empty answer=data1
		for peer in openbsd traditional ncat socat; do
			for role in listen connect; do
				meet "$role" "$peer" -d
			done
			meet receive "$peer" --raw
		done'
}

@test "both directions with the peers that half-close" {
	in_space "$prepare"'
		in=data1 answer=data2
		for peer in openbsd ncat socat; do
			for role in listen connect; do
				meet "$role" "$peer"
			done
		done'
}

@test "haul send --raw to the peers" {
	in_space "$prepare"'
		in=data1 answer=empty
		for peer in openbsd traditional ncat socat; do
			meet send "$peer" --raw
		done'
}

@test "a question and an answer with each peer" {
	in_space "$prepare"'
		printf "hello\n" >question
		in=question answer=question
		for peer in openbsd traditional ncat socat; do
			for role in listen connect; do
				meet "$role" "$peer"
			done
		done'
}

@test "UNIX sockets: nc.openbsd, ncat, socat" {
	data 300001 in
	data 200003 answer
	i=0
	for peer in "nc.openbsd -N -U" "ncat -U" "socat -t5 - UNIX"; do
		i=$((i + 1))
		path=s$i
		case $peer in
		socat*) client=("socat" -t5 - "UNIX:$path") ;;
		*) read -ra client <<<"$peer $path" ;;
		esac
		serve haul haul listen "unix:$path" <in >out
		start peer "${client[@]}" <answer >got
		await_all haul peer
		same got in
		same out answer

		path=t$i
		case $peer in
		socat*) server=(socat -t5 - "UNIX-LISTEN:$path") ;;
		ncat*) server=(ncat -l -U "$path") ;;
		*) server=(nc.openbsd -N -l -U "$path") ;;
		esac
		hold=()
		[[ $peer != nc.openbsd* ]] || hold=(--hold)
		start peer "${server[@]}" <answer >got
		await_file "$path"
		try haul connect "${hold[@]}" --retry-for 5s "unix:$path" <in
		is 0
		await_all peer
		same got in
		same out answer
	done
}

@test "datagrams: nc.openbsd, ncat, socat" {
	in_space "$prepare"'
		for peer in "nc.openbsd -u -w1" "ncat -u -w1 -i1" socat; do
			port=$((port + 1))
			case $peer in
			socat) client="socat -t1 - UDP:127.0.0.1:$port" ;;
			*) client="$peer 127.0.0.1 $port" ;;
			esac
			serve haul haul receive -u 127.0.0.1 "$port" >out
			start peer $client <<<"a datagram from $peer" >got
			await_size out 10
			says out "a datagram from $peer"
			kill "${PID[haul]}"
			await haul
			await peer
		done'
}
