#!/usr/bin/env bats
# Peers that fall silent, and peers that are only slow.
# runs: first
# shellcheck disable=SC2016,SC2103,SC2030,SC2031,SC2034,SC2154
# quick: no

load lib/common
load lib/transfer

# silent SURVIVOR VICTIM: the survivor gives up after a second.
silent() {
	local begin took
	begin=$(now_ms)
	await "$1"
	took=$(($(now_ms) - begin))
	is 6 "$1.err" || return
	has <(tail -n 1 "$1.err") "$2" || return
	within "$took" 3000
}

@test "a stopped receiver: the sender ends with 6" {
	mkdir a b
	data 50000000 a/in
	# One in the middle of a file, one that waits for stdin.
	cd a
	receiver -w 1s -o got
	through -m mark -g go -n 1 hold=up:5000000
	sender -w 1s in
	await_file mark
	kill -STOP "${PID[recv]}"
	touch go
	silent send 'idle|silent|timeout|nothing'
	[[ ! -e got ]]
	kill -CONT "${PID[recv]}"
	await recv
	is 7 recv.err
	cd ../b
	hold pipe
	receiver -w 1s
	sender -w 1s <pipe
	echo x >&"$W"
	await_size received 2
	kill -STOP "${PID[recv]}"
	silent send 'idle|silent|timeout|nothing'
	kill -CONT "${PID[recv]}"
	await recv
	[[ $status == 7 ]] || is 7 recv.err
	let_go
}

@test "a stopped sender: the receiver ends with 6" {
	data 50000000 in
	receiver -w 1s -o got
	through -m mark -g go -n 1 hold=up:5000000
	sender -w 1s in
	await_file mark
	kill -STOP "${PID[send]}"
	touch go
	await recv 8
	is 6 recv.err
	one_line recv.err
	kill -CONT "${PID[send]}"
	await send
	is 7 send.err
	[[ ! -e got && -e .got.haul-part ]]
}

@test "a connection that passes nothing on: both end with 6" {
	data 3000000 in
	names=()
	# Before the greeting it is one that does not greet.
	for fault in freeze=up:1000000 freeze=up:100 stall=up:1000000 \
		stall=down:100 freeze=down:24; do
		mkdir "$fault"
		cd "$fault"
		receiver -w 1s -o got
		through -n 1 "$fault"
		begin=$(now_ms)
		sender -w 1s ../in
		finish
		took=$(($(now_ms) - begin))
		# Where one way goes on, the other side learns of the reset.
		case $fault in
		freeze=up*) are 6 6 ;;
		freeze=down*) are 6 9 ;;
		*) are '[67]' '[67]' && [[ $sent$received == *6* ]] ;;
		esac || fail "$fault"
		one_line send.err
		one_line recv.err
		within "$took" 4500
		[[ $fault == *down* || ! -e got ]]
		[[ ! -e got ]] || same got ../in
		cd ..
	done
}

@test "a connection that stalls, and --retry-for" {
	data 3000000 in
	receiver -w 1s --retry-for 10s -o got
	through freeze=up:1000000
	sender -w 1s --retry-for 10s in
	finish
	[[ $sent != 0 ]] || same got in
	{ are 0 0 && same got in; } || are 6 6
}

@test "slow but living peers never end it" {
	data 3000000 in
	# A receiver whose stdout nobody reads for three seconds.
	mkdir a b c d
	cd a
	mkfifo out
	start reader "$BASH" -c 'exec <out; sleep 3; cat >got'
	serve recv haul receive -w 700ms 127.0.0.1 0 >out
	sender -w 700ms ../in
	keep_as a
	# A sender whose stdin says nothing for so long.
	cd ../b
	receiver -w 700ms
	sender -w 700ms < <(cat ../in; nap 3; cat ../in)
	keep_as b
	# A connection that is slow.
	cd ../c
	receiver -w 700ms -o got
	through -n 1 rate=up:100000
	sender -w 700ms < <(head -c 300000 ../in)
	unset via
	keep_as c
	# Only one side has a limit, and it is the other that is slow.
	cd ../d
	receiver -w 700ms
	sender < <(cat ../in; nap 3; cat ../in)
	keep_as d
	cd ..
	for name in a b c d; do
		await "$name-send"
		is 0 "$name/send.err"
		await "$name-recv"
		is 0 "$name/recv.err"
	done
	await reader
	same a/got in
	same b/received <(cat in in)
	same c/got <(head -c 300000 in)
	same d/received <(cat in in)
}

# keep_as NAME: send and recv are NAME-send and NAME-recv from now on.
keep_as() {
	PID["$1-send"]=${PID[send]}
	PID["$1-recv"]=${PID[recv]}
	unset 'PID[send]' 'PID[recv]'
}

@test "--timeout: the whole run" {
	hold pipe
	for side in send recv; do
		sopts=() ropts=()
		[[ $side == recv ]] || sopts=(--timeout 700ms)
		[[ $side == send ]] || ropts=(--timeout 700ms)
		begin=$(now_ms)
		receiver "${ropts[@]}"
		sender "${sopts[@]}" <pipe
		finish
		took=$(($(now_ms) - begin))
		case $side in
		send) are 6 '[79]' ;;
		recv) are '[79]' 6 ;;
		esac
		within "$took" 2500
		at_least "$took" 500
	done
	let_go
}

@test "--accept-timeout, --connect-timeout" {
	try haul receive --accept-timeout 200ms 127.0.0.1 0
	is 6
	try haul send -l --accept-timeout 200ms 127.0.0.1 0 </dev/null
	is 6
}

@test "waiting costs no CPU time" {
	hold pipe
	mkfifo out
	receiver
	sender <pipe
	keep_as idle
	exec {stuck}<>out
	serve recv haul receive 127.0.0.1 0 >out
	sender </dev/zero
	keep_as full
	for name in idle-send idle-recv full-send full-recv; do
		await_calm "$name"
	done
	declare -A before=()
	for name in idle-send idle-recv full-send full-recv; do
		before[$name]=$(cpu_ms "$name")
	done
	nap 2
	for name in idle-send idle-recv full-send full-recv; do
		used=$(($(cpu_ms "$name") - before[$name]))
		((used < 50)) || fail "$name: $used ms"
	done
	exec {stuck}>&-
	let_go
}
