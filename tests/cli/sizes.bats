#!/usr/bin/env bats
# Every size around the sizes of buffers and pipes, from every kind of stdin.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154
# quick: no

load lib/common

sizes=(0 1 4095 4096 4097 65535 65536 65537 131073)

# move FROM TO ADDRESS: every size, by every kind of stdin, from one haul to
# another one, which listens at ADDRESS. FROM and TO: "connect", "send --raw".
move() {
	local - && set +T
	local from=$1 at=$3 size kind
	local -a to address
	read -ra to <<<"$2"
	for size in "${sizes[@]}"; do
		[[ -e in$size ]] || data "$size" "in$size"
		for kind in file cat socket; do
			serve to haul "${to[@]}" "$at" </dev/null >got || return
			address=("127.0.0.1" "$port")
			[[ $at == unix:* ]] && address=("$at")
			send_from "$kind" "$from" "in$size" "${address[@]}"
			is 0 || return
			await_all to || return
			same got "in$size" || fail "by $kind" || return
		done
	done
}

# send_from KIND SUB FILE ADDRESS...
send_from() {
	local kind=$1 in=$3
	local -a sub
	read -ra sub <<<"$2"
	shift 3
	case $kind in
	file) try haul "${sub[@]}" "$@" <"$in" ;;
	cat) try haul "${sub[@]}" "$@" < <(cat "$in") ;;
	socket)
		try guest kind socket in "$in" -- haul "${sub[@]}" "$@"
		has out '^exit 0$' '^flags kept$'
		;;
	esac
}

@test "send --raw to receive --raw over TCP" {
	move "send --raw" "receive --raw" 127.0.0.1:0
}

@test "send --raw to receive --raw over TCP, through our buffers" {
	export HAUL_NO_ZEROCOPY=1
	move "send --raw" "receive --raw" 127.0.0.1:0
}

@test "connect to listen over TCP" {
	move connect listen 127.0.0.1:0
}

@test "send --raw to receive --raw over a UNIX socket" {
	move "send --raw" "receive --raw" unix:sock
}

@test "connect to listen over a UNIX socket, through our buffers" {
	export HAUL_NO_ZEROCOPY=1
	move connect listen unix:sock
}

@test "listen to connect: what the listener sends, into a file and a pipe" {
	for net in 127.0.0.1:0 unix:sock; do
		for size in "${sizes[@]}"; do
			[[ -e in$size ]] || data "$size" "in$size"
			serve from haul listen "$net" <"in$size" >/dev/null
			address=(127.0.0.1 "$port")
			[[ $net != unix:* ]] || address=("$net")
			try haul connect "${address[@]}"
			is 0
			await_all from
			same out "in$size"
			serve from haul send --raw -l "$net" <"in$size" >/dev/null
			[[ $net == unix:* ]] || address=(127.0.0.1 "$port")
			timeout 20 "$HAUL" receive "$HAUL_MODE" --raw -c \
				"${address[@]}" | cat >out
			await_all from
			same out "in$size"
		done
	done
}

@test "a file that is read from its middle, and one that is appended to" {
	data 200000 in
	data 1000 out
	{ cat out; tail -c +70001 in; } >want
	for sub in "send --raw" connect; do
		cp out got
		serve to haul receive --raw 127.0.0.1 0 >>got
		{
			/usr/bin/python3 -c 'import os; os.lseek(0, 70000, 0)'
			# shellcheck disable=SC2086
			try -r haul $sub 127.0.0.1 "$port" >/dev/null
		} <in
		is 0
		await_all to
		same got want
	done
}

@test "send --raw of several files, and stdin among them" {
	data 70000 one
	: >two
	data 5000 three
	cat one two three one >want
	serve to haul receive --raw 127.0.0.1 0 >got
	try haul send --raw 127.0.0.1 "$port" one two - one <three
	is 0
	await_all to
	same got want
}

@test "send --raw of FIFOs: their writers come later, one after the other" {
	data 200000 one
	data 70001 two
	cat one two >want
	mkfifo fifo1 fifo2
	for files in fifo1 "fifo1 fifo2"; do
		serve to haul receive --raw 127.0.0.1 0 >got
		# shellcheck disable=SC2086
		start from haul send --raw 127.0.0.1 "$port" $files
		nap 0.15
		runs from
		cat one >fifo1
		if [[ $files == *2 ]]; then
			await_size got 200000
			nap 0.05
			runs from
			cat two >fifo2
		fi
		await_all from to
		case $files in
		*2) same got want ;;
		*) same got one ;;
		esac
	done
}

@test "send --raw of a file, a FIFO and stdin in one run" {
	data 70000 one
	data 100001 two
	data 5000 three
	cat one two three >want
	mkfifo fifo
	serve to haul receive --raw 127.0.0.1 0 >got
	start from haul send --raw 127.0.0.1 "$port" one fifo - <three
	cat two >fifo
	await_all from to
	same got want
}
