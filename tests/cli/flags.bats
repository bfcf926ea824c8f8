#!/usr/bin/env bats
# Descriptors and terminals that haul was given are as they were.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154
# quick: no

load lib/common

roles=(listen connect)

@test "flags of descriptors 0, 1, 2 stay before, during, after" {
	data 300000 in
	data 200000 answer
	for kind in pipe socket file tty; do
		for role in "${roles[@]}"; do
			rm -f out
			WRAP=(guest kind "$kind" in in out out --)
			pair "$role" >said -- -o got send=answer sleep=50 \
				shut recv-eof
			await_all peer haul
			has said '^exit 0$' '^flags kept$'
			same got in
			same out answer
		done
		[[ $kind != tty ]] || has said '^terminal kept$'
	done
}

@test "flags of descriptors stay in send --raw and receive --raw" {
	data 300000 in
	for kind in pipe socket file tty; do
		rm -f out
		WRAP=(guest kind "$kind" in in out out --)
		pair send >said -- -o got recv-eof
		await_all peer haul
		has said '^exit 0$' '^flags kept$'
		same got in
		rm -f out
		pair receive >said -- send=in shut recv-eof
		await_all peer haul
		has said '^exit 0$' '^flags kept$'
		same out in
	done
}

@test "flags of descriptors stay after SIGKILL" {
	data 3000000 in
	for kind in pipe socket tty; do
		for role in "${roles[@]}"; do
			WRAP=(guest kind "$kind" in in out out once there kill 300 --)
			rm -f there
			pair "$role" >said -- touch=there send-reset
			await haul
			has said '^signal 9$' '^flags kept$'
			await_all peer
		done
	done
}

@test "O_NONBLOCK set by somebody else on stdin: no loss, no spinning" {
	data 300000 in
	names=()
	for kind in pipe socket; do
		for role in listen connect send; do
			name=$kind-$role
			WRAP=(guest kind "$kind" nonblock 0 after 1300 in in
				idle 250 --)
			pair "$role" >"$name" -- -o "$name-got" recv-eof
			keep "$name"
			names+=("$name")
		done
	done
	for name in "${names[@]}"; do
		await_all "$name-peer" "$name"
		has "$name" '^exit 0$' '^flags kept$'
		within "$(sed -n 's/^cpu //p' "$name")" 50
		same "$name-got" in
	done
}

@test "a full stdout, O_NONBLOCK or not: no loss, no spinning" {
	data 300000 answer
	{ head -c 65536 /dev/zero | tr '\0' F; cat answer; } >want
	names=()
	for role in listen connect receive; do
		for options in "kind pipe" "kind pipe nonblock 1" \
			"kind socket nonblock 1"; do
			name=${options// /-}-$role
			# shellcheck disable=SC2206
			WRAP=(guest $options full 65536 out "$name-out"
				stall "$name-go" idle 250 --)
			pair "$role" >"$name" -- send=answer shut recv-eof
			keep "$name"
			names+=("$name")
		done
	done
	for name in "${names[@]}"; do
		await_all "$name-peer" "$name"
		has "$name" '^exit 0$' '^flags kept$'
		within "$(sed -n 's/^cpu //p' "$name")" 50
		same "$name-out" want
	done
}

@test "stdin is the end of a pipe for writing: an error, and nothing is taken" {
	mkfifo pipe
	exec {both}<>pipe
	for role in listen connect send; do
		echo bytes >&"$both"
		pair "$role" 0>pipe >out -- recv-reset
		await haul
		is 1 haul.err
		one_line haul.err
		has haul.err 'bad file descriptor$'
		await_all peer
		read -rt 1 -u "$both" line
		[[ $line == bytes ]]
	done
	exec {both}>&-
}

@test "stdout is the end of a pipe for reading: an error, and nothing is put in" {
	mkfifo pipe
	exec {both}<>pipe
	hold held
	for role in listen connect receive; do
		pair "$role" <held 1<pipe -- text=hello recv-reset
		await haul
		is 1 haul.err
		one_line haul.err
		has haul.err 'bad file descriptor$'
		await_all peer
		! read -rt 0 -u "$both"
	done
	exec {both}>&-
}

@test "terminal: the peer's end of file ends the session" {
	for role in "${roles[@]}"; do
		WRAP=(guest kind tty type 'hello\n' out out --)
		pair "$role" >said -- -o got recv=6 text=bye\\n shut recv-any
		await haul 5
		has said '^exit 0$' '^flags kept$' '^terminal kept$'
		says out bye
		says got hello
	done
}

@test "terminal: Ctrl-D ends the input" {
	for role in "${roles[@]}"; do
		WRAP=(guest kind tty type 'hello\n\x04' out out --)
		pair "$role" >said -- -o got recv-eof text=bye close
		await_all haul peer
		has said '^exit 0$' '^terminal kept$'
		says out bye
		says got hello
	done
}

@test "terminal: Ctrl-C ends the session" {
	for role in "${roles[@]}"; do
		rm -f there
		WRAP=(guest kind tty type '\x03' await there out out --)
		pair "$role" >said -- text=hi touch=there recv-reset
		await_all haul peer
		has said '^signal 2$' '^flags kept$' '^terminal kept$'
	done
}
