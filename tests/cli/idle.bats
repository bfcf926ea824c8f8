#!/usr/bin/env bats
# No state that can last costs CPU time.
# runs: first
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load lib/common

# state NAME: what pair has just started is a state to hold.
state() {
	keep "$1"
	states+=("$1")
}

# Hold all states for two seconds; none may use 50 ms of CPU time, or end.
hold_states() {
	local name failed=0
	declare -A before=()
	nap 0.5
	for name in "${states[@]}"; do
		before[$name]=$(cpu_ms "$name") || fail "$name has ended: $(<"$name.err") $(<"$name-peer.err")" || failed=1
	done
	nap 2
	for name in "${states[@]}"; do
		((before[$name] = $(cpu_ms "$name") - before[$name])) || :
		((before[$name] < 50)) || fail "$name: ${before[$name]} ms" ||
			failed=1
	done
	return "$failed"
}

@test "end states of streams use no CPU time" {
	hold held
	data 8000000 big
	states=()
	mkfifo stuck ended
	exec {stuck}<>stuck
	for role in listen connect; do
		pair "$role" </dev/null >out -- sleep=20000
		state "$role-input-ended"
		pair "$role" <held >out -- shut sleep=20000
		state "$role-peer-ended"
		pair "$role" --hold </dev/null >out -- sleep=20000
		state "$role-held"
		pair "$role" -d <held >out -- sleep=20000
		state "$role-no-stdin"
		pair "$role" <held >out -- sleep=20000
		state "$role-nothing-said"
		pair "$role" <big >out -- sleep=20000
		state "$role-peer-does-not-read"
		start feeder "$BASH" -c 'cat big >ended'
		pair "$role" <ended >out -- sleep=20000
		state "$role-pipe-and-peer-does-not-read"
		pair "$role" <held >stuck -- send-some sleep=20000
		state "$role-stdout-full"
		pair "$role" </dev/null >stuck -- send-some shut sleep=20000
		state "$role-stdout-full-and-both-ended"
		pair "$role" --send-only <held >out -- shut sleep=20000
		state "$role-send-only-peer-ended"
		pair "$role" --receive-only <held >out -- sleep=20000
		state "$role-receive-only"
		WRAP=(start close 0 --)
		pair "$role" >out -- sleep=20000
		state "$role-stdin-missing"
		WRAP=(start close 2 --)
		pair "$role" <held >out -- shut sleep=20000
		state "$role-stderr-missing"
		WRAP=()
	done
	pair send <held >out -- shut sleep=20000
	state send-peer-ended
	pair send </dev/null >out -- sleep=20000
	state send-waits-for-the-end
	pair receive </dev/null >stuck -- send-some sleep=20000
	state receive-stdout-full
	hold_states
}

# What is in a pipe whose writer has gone, while the peer does not read: POLLHUP
# on stdin for as long as that lasts.
@test "a pipe with data and no writer, and a full connection" {
	states=()
	for role in listen connect send; do
		pair "$role" < <(head -c 65536 /dev/zero) >out \
			-- -b 4096 sleep=20000
		state "$role"
	done
	hold_states
}

@test "a terminal, the peer's end of file, and a full connection" {
	# Lines as long as can be: the rest of one takes long to seep through.
	printf -v text '%04000d\n' {1..25}
	for role in listen connect; do
		WRAP=(guest kind tty type "$text" idle 400 kill 1 --)
		pair "$role" --sockopt sndbuf=4096 >"said-$role" -- -b 4096 \
			unread=3000 sleep=100 shut touch="$role-shut" \
			sleep=20000
		keep "$role"
	done
	for role in listen connect; do
		await "$role"
		# It had not ended by itself.
		has "said-$role" '^signal 9$'
		[[ -e $role-shut ]]
		within "$(sed -n 's/^cpu //p' "said-$role")" 50
	done
}

@test "waiting for somebody uses no CPU time" {
	states=()
	start "listen" haul listen 127.0.0.1 0
	start "listen-all" haul listen 0
	start "listen-unix" haul listen unix:sock
	start "listen-udp" haul listen -u 127.0.0.1 0
	start "receive" haul receive 127.0.0.1 0
	start "receive-udp" haul receive -u 127.0.0.1 0
	start "receive-unixgram" haul receive -u unix:gram
	start "retry" haul connect --retry-for 1m 127.0.0.1 1
	serve "peer" dgram bind:127.0.0.1 sleep=20000
	hold held
	start "connect-udp" haul connect -u 127.0.0.1 "$port" <held >out
	start "connect-udp-lingers" haul connect -u --linger 1m 127.0.0.1 \
		"$port" <<<hello >out
	states=(listen listen-all listen-unix listen-udp receive receive-udp
		receive-unixgram retry connect-udp connect-udp-lingers)
	hold_states
}
