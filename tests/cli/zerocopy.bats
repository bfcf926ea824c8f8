#!/usr/bin/env bats
# What goes inside the kernel is what would go by memory: where outputs stand,
# what they refuse, and changes between much and little.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load lib/common

# both FUNCTION: once inside the kernel and once by memory.
both() {
	local - && set +T
	unset HAUL_NO_ZEROCOPY
	"$1" || return
	export HAUL_NO_ZEROCOPY=1
	"$1" || fail "by memory" || return
	unset HAUL_NO_ZEROCOPY
}

# into FILE ADDRESS: take what is in the file in, to our stdout.
into() {
	serve to haul listen -d "$1" </dev/null || return
	if [[ $1 == unix:* ]]; then
		try haul connect "$1" <in
	else
		try haul connect 127.0.0.1 "$port" <in
	fi
	is 0 && await_all to
}

appends() {
	for address in 127.0.0.1:0 unix:sock; do
		printf 'before\n' >got
		into "$address" >>got || return
		{ printf 'before\n' && cat in; } | cmp - got ||
			fail "$address" || return
	done
}

@test "an output that appends: what was there stays" {
	data 3000001 in
	both appends
}

goes_on() {
	for address in 127.0.0.1:0 unix:sock; do
		{
			printf 'before\n'
			into "$address" || return
			printf 'after\n'
		} >got
		{ printf 'before\n' && cat in && printf 'after\n'; } |
			cmp - got || fail "$address" || return
	done
}

@test "an output in the middle: it goes on from where it stood" {
	data 3000001 in
	both goes_on
}

@test "a stream over a UNIX socket into a full disk" {
	in_space "$(declare -f both)"'
		mkdir small
		mount -t tmpfs -o size=256k tmpfs small
		data 1000000 in
		full() {
			serve to haul listen -d unix:sock </dev/null >small/out
			try haul connect unix:sock <in
			await to
			is 1 to.err
			one_line to.err
			has to.err "standard output: no space left on device$"
			cmp -n "$(stat -c %s small/out)" small/out in
			rm small/out
		}
		both full
	'
}

@test "a FIFO whose writers have left before the start is read to its end" {
	mkfifo pipe
	for role in connect listen send; do
		printf little >pipe &
		exec {left}<pipe
		wait "$!"
		pair "$role" <&"$left" >out -- -o got recv-eof
		exec {left}<&-
		await_all haul peer
		[[ $(<got) == little ]]
	done
}

# A peer that sends much and little in turn, in odd pieces.
changes() {
	for role in listen connect receive; do
		# So many that they go by memory again.
		steps=()
		for _ in {1..12}; do steps+=(send=little sleep=3); done
		pair "$role" </dev/null >got -- -o /dev/null \
			send=little sleep=20 send=much sleep=20 \
			"${steps[@]}" send=much sleep=20 send=little close ||
			return
		await_all haul peer || return
		{
			cat little much
			for _ in {1..12}; do cat little; done
			cat much little
		} | cmp - got || fail "$role" || return
	done
}

@test "much and little in turn" {
	data 17 little
	data 1500003 much
	both changes
}

@test "much and little in turn, through a pipe" {
	data 17 little
	data 1500003 much
	through_pipe() {
		for role in connect listen; do
			pair "$role" < <(cat little; sleep 0.02; cat much
				sleep 0.02; cat little much; sleep 0.02
				cat little) >out -- -o got recv-eof || return
			await_all haul peer || return
			cat little much little much little | cmp - got ||
				fail "$role" || return
		done
	}
	both through_pipe
}

# How much the pipes at both ends of a session hold after so many bytes.
# F_GETPIPE_SZ is 1032.
pipe_sizes() {
	data "$1" in
	python3 - "$1" 3>&- <<-'END'
		import fcntl, os, subprocess, sys, time

		count = int(sys.argv[1])
		mode = os.environ["HAUL_MODE"]
		haul = os.environ["HAUL"]
		out_read, out_write = os.pipe()
		in_read, in_write = os.pipe()
		server = subprocess.Popen(
		    [haul, "listen", mode, "-d", "--port-file", "port",
		     "127.0.0.1", "0"], stdout=out_write)
		while not os.path.exists("port"):
		    time.sleep(0.01)
		client = subprocess.Popen(
		    [haul, "connect", mode, "127.0.0.1", open("port").read()
		     .strip()], stdin=in_read, stdout=subprocess.DEVNULL)
		os.close(out_write)
		data = open("in", "rb").read()
		writer = os.fork()
		if writer == 0:
		    os.close(in_read)
		    os.close(out_read)
		    while data:
		        data = data[os.write(in_write, data):]
		    os._exit(0)
		got = 0
		while got < count:
		    got += len(os.read(out_read, 1 << 20))
		print(fcntl.fcntl(in_read, 1032), fcntl.fcntl(out_read, 1032))
		os.close(in_write)
		os.close(in_read)
		os.waitpid(writer, 0)
		server.wait()
		client.wait()
	END
}

@test "a pipe is made larger only when much goes through it" {
	! portable || return 0
	unset HAUL_NO_ZEROCOPY
	read -r in out < <(pipe_sizes 1000000)
	[[ $in == 65536 && $out == 65536 ]]
	rm port
	read -r in out < <(pipe_sizes 20000000)
	((in > 65536 && out > 65536))
	rm port
	export HAUL_NO_ZEROCOPY=1
	read -r in out < <(pipe_sizes 20000000)
	[[ $in == 65536 && $out == 65536 ]]
}

# splice(2) says 0 or EAGAIN at an urgent byte, as at an end or when there is
# nothing: neither is true.
urgent() {
	python3 - "$@" 3>&- <<-'END'
		import socket, sys, time
		server = socket.create_server(("127.0.0.1", 0))
		with open("urgent.new", "w") as f:
		    f.write(str(server.getsockname()[1]))
		import os
		os.rename("urgent.new", "urgent.port")
		peer = server.accept()[0]
		peer.sendall(b"a" * 300000)
		time.sleep(0.1)
		peer.sendall(b"b" * 100000)
		peer.send(b"X", socket.MSG_OOB)
		peer.sendall(b"c" * 50000)
		time.sleep(float(sys.argv[1]))
		peer.shutdown(socket.SHUT_WR)
		while peer.recv(65536):
		    pass
	END
}

@test "an urgent byte ends nothing, and makes nobody spin" {
	for wait in 0 1; do
		for sink in file pipe null; do
			rm -f urgent.port got
			urgent "$wait" &
			await_file urgent.port
			port=$(<urgent.port)
			case $sink in
			file) try -r haul connect 127.0.0.1 "$port" \
				</dev/null >got ;;
			pipe) { try -r haul connect 127.0.0.1 "$port" \
				</dev/null && echo "$status" >was; } |
				cat >got && status=$(<was) ;;
			null) try -r haul connect 127.0.0.1 "$port" \
				</dev/null >/dev/null ;;
			esac
			wait "$!"
			is 0
			[[ $sink == null ]] ||
				[[ $(tr -d X <got | wc -c) == 450000 ]]
		done
	done
	# Held open behind the urgent byte.
	rm -f urgent.port
	urgent 3 &
	await_file urgent.port
	start haul haul connect 127.0.0.1 "$(<urgent.port)" </dev/null >got
	await_size got 450000
	nap 0.3
	(($(cpu_ms haul) < 300))
	await haul
	wait
}
