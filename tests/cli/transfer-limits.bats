#!/usr/bin/env bats
# Memory, several transfers one after the other, and the command line.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load lib/common
load lib/transfer

# peak NAME COMMAND...: as start; the most memory it had, in KiB, is in
# NAME.peak at its end.
peak() {
	local name=$1
	shift
	expand "$@"
	start "$name" /usr/bin/python3 -IS -c '
import os, sys
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(pid, 0)
with open(sys.argv[1], "w") as f:
    f.write("%d\n" % usage.ru_maxrss)
os._exit(os.waitstatus_to_exitcode(status) & 255)
' "$name.peak" "${CMD[@]}"
}

# small: both have stayed below 16 MiB.
small() {
	local side
	sanitized && return
	for side in send recv; do
		(($(<"$side.peak") < 16384)) ||
			fail "$side: $(<"$side.peak") KiB"
	done
}

@test "memory stays below 16 MiB: a stream, a file, a resumed file" {
	data 60000000 in
	for what in stream file resumed; do
		rm -f recv.port
		[[ $what == resumed ]] || rm -f got .got.haul-part
		peak recv haul receive --port-file recv.port -o got 127.0.0.1 0
		await_ready recv
		port=$(<recv.port)
		case $what in
		stream)
			peak send haul send 127.0.0.1 "$port" \
				< <(cat in in in)
			;;
		*) peak send haul send 127.0.0.1 "$port" in ;;
		esac
		finish
		are 0 0
		small
		if [[ $what == file ]]; then
			rm got
			head -c 40000000 in >.got.haul-part
		fi
	done
	same got in
}

@test "memory: a slow reader at the other end" {
	mkfifo out
	exec {stuck}<>out
	rm -f recv.port
	peak recv haul receive --port-file recv.port 127.0.0.1 0 >out
	await_ready recv
	port=$(<recv.port)
	peak send haul send 127.0.0.1 "$port" < <(head -c 100000000 /dev/zero)
	nap 0.7
	start reader cat out >/dev/null
	exec {stuck}>&-
	finish
	are 0 0
	small
}

@test "-k: one transfer after the other; --count: so many" {
	mkdir D
	few_files a
	few_files b
	echo one >one
	receiver -k --count 3 -D D
	for args in a one b; do
		runs recv
		sender "$args"
		await_all send
	done
	await_all recv
	same_tree a D/a
	same_tree b D/b
	says D/one one
	[[ $(grep -c 'xxh3-128' recv.err) == 3 ]]
	# Without --count it goes on.
	receiver -k -D D
	for i in 1 2 3 4; do
		sender a
		await_all send
	done
	runs recv
	kill "${PID[recv]}"
	await recv
	is 143 recv.err
}

@test "-k: what is refused is told, and does not end it" {
	mkdir D
	echo 1 >a
	echo 2 >D/a
	echo 3 >b
	receiver -k -D D
	sender a
	await send
	is 9 send.err
	sender b
	await_all send
	says D/a 2
	says D/b 3
	has recv.err 'a: exists'
	runs recv
	kill "${PID[recv]}"
	await recv
	is 143 recv.err
}

@test "-k: senders that come at the same time all get their turn" {
	mkdir D
	receiver -k --count 6 -D D
	for i in {1..6}; do
		data 300000 "f$i"
		start "s$i" haul send 127.0.0.1 "$port" "f$i"
	done
	await_all s{1..6} recv
	for i in {1..6}; do
		same "D/f$i" "f$i"
	done
}

@test "usage errors" {
	mkdir D
	for args in "-o f -D D" "--raw -o f" "--raw -D D" "--raw --force" \
		"--raw --fsync" "-u -o f" "-u -D D" "--count 2" "-k" "-k -o f" \
		"-k -D D --count 0" "-k -D D --count x" "-k -D D -c" \
		"--force" "--fsync" "--progress --no-progress" "-D" "-o"; do
		# shellcheck disable=SC2086
		LIMIT=5 try haul receive 127.0.0.1 0 $args
		is 2 || fail "$args"
		one_line err
		has err 'haul receive --help'
	done
	for args in "-o f" "-D D" "--force" "-k"; do
		# shellcheck disable=SC2086
		LIMIT=5 try haul send 127.0.0.1 1 $args
		is 2 || fail "$args"
		one_line err
	done
	LIMIT=5 try haul send --raw --retry-for 1s -l 127.0.0.1 0
	is 2
	[[ $(ls) == *D* && ! -e f ]]
}

@test "flags of descriptors stay, in transfers as well" {
	data 300000 in
	for kind in pipe socket file tty; do
		rm -f out recv.port said got
		start recv haul receive --port-file recv.port 127.0.0.1 0 >got
		await_ready recv
		port=$(<recv.port)
		start send guest kind "$kind" in in out out -- haul send \
			127.0.0.1 "$port" >said
		finish
		are 0 0
		has said '^exit 0$' '^flags kept$'
		same got in
	done
	for kind in pipe socket file; do
		rm -f out recv.port said
		start recv guest kind "$kind" in /dev/null out out -- haul \
			receive --port-file recv.port 127.0.0.1 0 >said
		await_ready recv
		port=$(<recv.port)
		sender <in
		finish
		are 0 0
		has said '^exit 0$' '^flags kept$'
		same out in
	done
}

@test "nothing listens: 4; --retry-for waits for the receiver" {
	data 100000 in
	try haul send 127.0.0.1 1 in
	is 4
	start send haul send --retry-for 10s unix:sock in
	nap 0.3
	runs send
	start recv haul receive unix:sock >received
	finish
	are 0 0
	same received in
}
