#!/usr/bin/env bats
# The command line itself: help, version, and every way to get it wrong.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154
# quick: no

load lib/common

subcommands=(listen connect send receive)

# run_haul ARG...: exactly these arguments, no mode.
run_haul() {
	try timeout 10 "$HAUL" "$@"
}

# A usage error: status 2, one line with a pointer to the help, nothing else.
is_usage() {
	is 2 && one_line err && says out &&
		has err "\(see haul $1 --help\)\$"
}

@test "haul --help, --version: on stdout, status 0" {
	for option in --help -h; do
		run_haul "$option"
		is 0
		says err
		has out listen connect send receive
	done
	for option in --version -V; do
		run_haul "$option"
		is 0
		says err
		[[ $(wc -l <out) == 1 ]]
		has out '^haul [0-9]+\.[0-9]+'
	done
}

@test "help of each subcommand: 80 columns, a screen or two" {
	for sub in "${subcommands[@]}"; do
		for option in --help -h; do
			run_haul "$sub" "$option"
			is 0
			says err
			has out "haul $sub" '--connect-timeout D' '-V, --version'
			(($(wc -l <out) <= 70))
			(($(wc -L <out) <= 80))
		done
		run_haul "$sub" --version
		is 0
		has out '^haul [0-9]+\.[0-9]+'
	done
}

@test "help and version win over operands, and need none" {
	for sub in "${subcommands[@]}"; do
		run_haul "$sub" 127.0.0.1 1 --help
		is 0
		has out "haul $sub"
		run_haul "$sub" -V 127.0.0.1 1
		is 0
	done
}

@test "help to a full disk is an error" {
	for args in --help "listen --help" --version --dump-options \
		"listen --sockopt help"; do
		# shellcheck disable=SC2086
		try -r "$HAUL" $args >/dev/full
		is 1
		has err 'no space left on device$'
	done
}

@test "every option of the tables is in the help, and has a line" {
	run_haul --dump-options
	is 0
	says err
	cp out dump
	for sub in "${subcommands[@]}"; do
		grep -q "^$sub	" dump
		run_haul "$sub" --help
		while IFS=$'\t' read -r name long short arg help; do
			[[ $name == "$sub" ]] || continue
			[[ $long =~ ^(--)?[a-z][a-z0-9-]+$ ]]
			[[ $short == - || $short =~ ^-?[a-zA-Z0-9]$ ]]
			[[ $arg && $help ]]
			grep -qF -- "--${long#--}" out ||
				fail "$long is not in the help of $sub"
		done <dump
	done
	# All lines have their five fields.
	awk -F'\t' 'NF != 5 { exit 1 }' dump
}

@test "no subcommand, and one that is none" {
	run_haul
	is 2
	says out
	run_haul nosuch 127.0.0.1 1
	is 2
	[[ $(wc -l <err) == 1 ]]
	has err nosuch '--help'
	run_haul --nosuch
	is 2
	[[ $(wc -l <err) == 1 ]]
	run_haul lis 0
	is 2
	run_haul ""
	is 2
	run_haul -v listen 0
	is 2
}

@test "unknown options" {
	for sub in "${subcommands[@]}"; do
		for option in --nosuch --nosuch=1 -Z --Verbose; do
			run_haul "$sub" "$option" 127.0.0.1 1
			is_usage "$sub"
			has err "${option%=1}"
		done
		run_haul "$sub" -vZ 127.0.0.1 1
		is_usage "$sub"
		has err 'Z'
	done
	# Options of the others.
	run_haul listen --retry-for 1s 0
	is_usage listen
	run_haul connect --port-file p 127.0.0.1 1
	is_usage connect
	run_haul connect -l 127.0.0.1 1
	is_usage connect
	run_haul send --crlf 127.0.0.1 1
	is_usage send
	run_haul receive -l 127.0.0.1 1
	is_usage receive
}

@test "abbreviated options" {
	for option in --verb --num --connect-time=1s --accept --he --vers \
		--sock ttl=1 --non --block; do
		run_haul connect "$option" 127.0.0.1 1
		is_usage connect
	done
}

@test "options without their argument, or with one too many" {
	for sub in "${subcommands[@]}"; do
		for option in --connect-timeout --timeout -w --sockopt; do
			run_haul "$sub" 127.0.0.1 1 "$option"
			is_usage "$sub"
			has err "${option}"
		done
		for option in --numeric=1 --verbose=yes --help=x --ipv4=; do
			run_haul "$sub" "$option" 127.0.0.1 1
			is_usage "$sub"
		done
	done
}

@test "ill-formed arguments" {
	while read -r sub option value; do
		run_haul "$sub" "--$option=$value" 127.0.0.1 1
		is_usage "$sub" || fail "$sub --$option=$value"
		has err "--$option"
	done <<-END
		connect connect-timeout soon
		connect timeout -1
		connect idle-timeout 1y
		connect linger x
		connect retry-for 5x
		connect source-port 65536
		connect source-port http-nosuch
		connect datagram word
		listen accept-timeout 1,5
		listen backlog -1
		listen backlog many
		listen ready-fd stdout
		listen socket-mode rwx
		send datagram LINE
		send sockopt ttl
		receive retry-for
	END
}

@test "contradictions" {
	while read -r sub args; do
		# shellcheck disable=SC2086
		run_haul $sub $args 127.0.0.1 1
		is_usage "$sub" || fail "$sub $args"
	done <<-END
		connect -4 -6
		listen -4 -6
		send --ipv4 --ipv6
		connect --blocking --nonblocking
		listen --blocking --nonblocking
		receive --blocking --nonblocking
		connect -v -q
		send --verbose --quiet
		connect --send-only --receive-only
		listen --send-only --receive-only
		connect --send-only --no-stdin
		connect --datagram line
		send --datagram chunk
	END
}

@test "options that only the other role has a use for" {
	run_haul send --port-file p 127.0.0.1 1
	is_usage send
	run_haul send --raw -l --retry-for 1s 127.0.0.1 0
	is_usage send
	run_haul receive --raw --retry-for 1s 127.0.0.1 0
	is_usage receive
	run_haul receive -c --port-file p 127.0.0.1 1
	is_usage receive
	[[ ! -e p ]]
}

@test "operands that are missing" {
	for sub in "${subcommands[@]}"; do
		run_haul "$sub"
		is_usage "$sub"
		run_haul "$sub" -v
		is_usage "$sub"
	done
}

@test "-- ends the options" {
	# What follows it in send are files, whatever their names.
	echo content >-v
	serve receiver haul receive --raw 127.0.0.1 0 >got
	run_haul send --raw 127.0.0.1 "$port" -- -v
	is 0
	await_all receiver
	says got content
	run_haul send -- 127.0.0.1 1
	is 4
}

@test "options behind the operands, also under POSIXLY_CORRECT" {
	for POSIXLY_CORRECT in "" 1; do
		export POSIXLY_CORRECT
		[[ $POSIXLY_CORRECT ]] || unset POSIXLY_CORRECT
		for sub in connect "send --raw"; do
			serve receiver haul receive --raw 127.0.0.1 0 >got
			# shellcheck disable=SC2086
			run_haul $sub 127.0.0.1 "$port" -v <<<hello
			is 0
			has err "^haul ${sub% *}: connected to"
			await_all receiver
			says got hello
		done
	done
}

@test "an option given twice: the last one counts" {
	run_haul listen --accept-timeout 1h --accept-timeout 100ms 127.0.0.1 0
	is 6
}

@test "--sockopt help lists the options" {
	for sub in "${subcommands[@]}"; do
		run_haul "$sub" --sockopt help
		is 0
		says err
		has out nodelay keepalive rcvbuf sndbuf ttl linger mss \
			broadcast multicast-ttl
		portable || has out keepidle dscp congestion mptcp fastopen \
			reuseport interface mark dontfragment join
		(($(wc -L <out) <= 80))
	done
}

@test "socket options that are none, or ill-formed" {
	for text in nosuch=1 nodelay ttl= ttl=x ttl=-1 =1 "" nodelay=maybe \
		dscp=64 TTL=1 rcvbuf=99999999999; do
		for sub in connect listen; do
			run_haul "$sub" --sockopt "$text" 127.0.0.1 1
			is_usage "$sub" || fail "$text"
		done
	done
}

@test "an empty environment, and no PATH" {
	try -r env -i "$HAUL" --version >out
	is 0
	try env -i "$HAUL" connect 127.0.0.1 1
	is 4
	says err "haul connect: 127.0.0.1 port 1: connection refused"
}
