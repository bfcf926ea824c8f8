#!/usr/bin/env bats
# Commands on connections: what they get, what the client gets, how it ends.
# Each case with the connection as the command's own, and with haul in between
# (which it is for the sake of an idle timeout).
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load lib/common

ways=("" "--idle-timeout 20s")

# A command that leaves word when it is terminated.
waits='exec 2>/dev/null
trap "echo term >term; exit 0" TERM
trap "echo hup >term; exit 0" HUP
echo >ready
while :; do sleep 0.05; done'

# The processes that haul has started, zombies included.
children() {
	/usr/bin/python3 -IS -c '
import os, sys
for pid in os.listdir("/proc"):
    try:
        with open("/proc/%s/stat" % pid) as f:
            if f.read().rpartition(")")[2].split()[1] == sys.argv[1]:
                print(pid)
    except OSError:
        pass' "${PID[$1]}"
}

await_no_children() {
	local end=$((SECONDS + 10))
	while [[ -n $(children "$1") ]]; do
		((SECONDS < end)) || fail "$1 has children:" "$(children "$1")" ||
			return
		nap 0.05
	done
}

@test "the exit status is the command's" {
	for way in "${ways[@]}"; do
		for n in 0 3 126 255; do
			# shellcheck disable=SC2086
			serve haul haul listen $way 127.0.0.1 0 -- \
				sh -c "exit $n"
			client peer recv-eof
			await haul
			is "$n" haul.err
			says haul.err
			await_all peer
		done
		# shellcheck disable=SC2086
		serve haul haul listen $way --shell 'kill -KILL $$' 127.0.0.1 0
		client peer recv-eof
		await haul
		is 137 haul.err
		await_all peer
	done
}

@test "a command that cannot be run: 126 and 127, and the client is reset" {
	echo 'no program' >plain
	chmod 644 plain
	for way in "${ways[@]}"; do
		# shellcheck disable=SC2086
		serve haul haul listen $way 127.0.0.1 0 -- ./plain
		client peer recv-reset
		await haul
		is 126 haul.err
		says haul.err "haul listen: ./plain: permission denied"
		await_all peer
		# shellcheck disable=SC2086
		serve haul haul listen $way 127.0.0.1 0 -- no-such-command x
		client peer recv-reset
		await haul
		is 127 haul.err
		says haul.err \
			"haul listen: no-such-command: no such file or directory"
		await_all peer
	done
}

@test "8 MiB through cat" {
	data 8388608 in
	for way in "${ways[@]}"; do
		# shellcheck disable=SC2086
		serve haul haul listen $way 127.0.0.1 0 -- cat
		client peer flood=in recv=8388608 join shut recv-eof
		await_all haul peer
		same peer.got in
	done
}

@test "a client that half-closes gets the whole answer" {
	data 3000000 in
	for way in "${ways[@]}"; do
		# shellcheck disable=SC2086
		serve haul haul listen $way 127.0.0.1 0 -- \
			sh -c 'cat >all; sleep 0.2; cat all all'
		client peer send=in shut recv-eof
		await_all haul peer
		cat in in | cmp - peer.got
	done
}

@test "a slow client gets the whole answer; it is never cut by EAGAIN" {
	data 3000000 answer
	for way in "${ways[@]}"; do
		# shellcheck disable=SC2086
		serve haul haul listen $way 127.0.0.1 0 -- cat answer
		start peer stream -b 16384 -o got "connect:127.0.0.1:$port" \
			slow=65536/20
		await_all haul peer
		same got answer
		says haul.err
	done
}

@test "a client that sends more than is read gets the answer" {
	data 2000000 in
	data 300000 answer
	for way in "${ways[@]}"; do
		# shellcheck disable=SC2086
		serve haul haul listen $way 127.0.0.1 0 -- \
			sh -c 'head -c 10 >/dev/null; cat answer'
		client peer flood=in sleep=200 recv-eof
		await haul
		is 0 haul.err
		await_all peer
		same peer.got answer
	done
}

@test "what a command leaves running does not hold the connection" {
	for way in "" "-k"; do
		# shellcheck disable=SC2086
		serve haul haul listen $way 127.0.0.1 0 -- \
			sh -c 'echo hello; exec sleep 3 <&0 & exit 0'
		begin=$(now_ms)
		client peer recv-eof close
		await_all peer
		within $(($(now_ms) - begin)) 1500
		says peer.got hello
		[[ $way == -k ]] || await_all haul
	done
	# And the server is calm, though somebody else has the connection.
	await_calm haul
	before=$(cpu_ms haul)
	nap 0.5
	within $(($(cpu_ms haul) - before)) 20
	kill "${PID[haul]}"
	await haul
}

@test "nor where haul is in between, and the command is no zombie" {
	for way in "-k" "-k --limit 100M" "-k -C" "--limit 100M" "${ways[1]}"; do
		# shellcheck disable=SC2086
		serve haul haul listen $way 127.0.0.1 0 -- \
			sh -c 'echo hello; sleep 5 & exit 4'
		begin=$(now_ms)
		client peer recv-eof touch=eof await=end
		await_file eof
		within $(($(now_ms) - begin)) 2000
		[[ $(tr -d '\r' <peer.got) == hello ]]
		await_no_children haul
		touch end
		if [[ $way == -k* ]]; then
			kill "${PID[haul]}"
			await haul
		else
			await haul 3
			is 4 haul.err
		fi
		await_all peer
		rm eof end
	done
}

@test "SIGTERM and SIGHUP to haul reach the command" {
	for way in "" "-k" "--idle-timeout 20s" "-k --idle-timeout 20s"; do
		for sig in TERM HUP; do
			rm -f ready term
			# shellcheck disable=SC2086
			serve haul haul listen $way 127.0.0.1 0 -- \
				sh -c "$waits"
			client peer recv-any
			await_file ready
			kill "-$sig" "${PID[haul]}"
			await haul
			is $((128 + $(kill -l "$sig"))) haul.err
			await_text term "${sig,,}"
			await_all peer
		done
	done
}

@test "--timeout terminates the command" {
	for way in "" "--idle-timeout 20s" "-k"; do
		rm -f ready term
		# shellcheck disable=SC2086
		serve haul haul listen $way --timeout 3s 127.0.0.1 0 -- \
			sh -c "$waits"
		client peer recv-any
		await_file ready
		await haul
		is 6 haul.err
		one_line haul.err
		await_text term term
		await_all peer
	done
}

@test "a client that goes away: the command sees its end, and is terminated" {
	rm -f ready term
	serve haul haul listen --idle-timeout 20s 127.0.0.1 0 -- sh -c "$waits"
	client peer await=ready reset
	await_file ready
	await haul
	is 7 haul.err
	one_line haul.err
	says term term
	# One that reads is not.
	serve haul haul listen --idle-timeout 20s 127.0.0.1 0 -- \
		sh -c 'cat >/dev/null; echo ended >ended'
	client peer sleep=100 reset
	await haul
	is 7 haul.err
	says ended ended
}

@test "a command on all addresses is refused, unless --allow is said" {
	for address in 0 :0; do
		try haul listen "$address" -- cat
		is 2
		one_line err
		try haul listen -k --shell cat "$address"
		is 2
	done
	serve haul haul listen --allow 127.0.0.0/8 0 -- cat
	client peer text=hello shut recv-eof
	await_all haul peer
	says peer.got hello
}

@test "the environment tells who is there" {
	export LISTEN_FDS=1 HAUL_PEER_HOST=stale TCPREMOTEHOST=stale
	export HAUL_PROXY_AUTH=secret KEPT=kept
	serve haul haul listen -4 127.0.0.1 0 -- env
	client peer recv-eof
	await_all haul peer
	has peer.got "^HAUL_PEER_HOST=127.0.0.1\$" "^HAUL_PEER_PORT=[0-9]+\$" \
		"^HAUL_LOCAL_HOST=127.0.0.1\$" "^HAUL_LOCAL_PORT=$port\$" \
		"^HAUL_TRANSPORT=tcp\$" "^PROTO=TCP\$" \
		"^TCPREMOTEIP=127.0.0.1\$" "^TCPREMOTEPORT=[0-9]+\$" \
		"^TCPLOCALIP=127.0.0.1\$" "^TCPLOCALPORT=$port\$" "^KEPT=kept\$"
	run ! grep -E 'stale|secret|^LISTEN' peer.got
	# The same where haul is in between.
	serve haul haul listen --idle-timeout 20s 127.0.0.1 0 -- env
	client peer recv-eof
	await_all haul peer
	has peer.got "^HAUL_TRANSPORT=tcp\$" "^TCPREMOTEIP=127.0.0.1\$"
}

@test "UNIX sockets" {
	for way in "${ways[@]}"; do
		# shellcheck disable=SC2086
		serve haul haul listen $way unix:sock -- sh -c 'cat; env'
		start peer stream -o got connect-unix:sock text='hello\n' shut \
			recv-eof
		await_all haul peer
		has got '^hello$' '^HAUL_TRANSPORT=unix$' '^PROTO=UNIX$' \
			'^HAUL_LOCAL_HOST=.*sock$'
		[[ ! -e sock ]]
	done
}

@test "connect: the same, and the exit status is the command's" {
	for way in "${ways[@]}"; do
		serve peer stream -o got listen:127.0.0.1 text='hello\n' \
			recv-eof </dev/null
		# shellcheck disable=SC2086
		try haul connect $way 127.0.0.1 "$port" -- \
			sh -c 'read x; echo "got $x"; exit 4'
		is 4
		says err
		says out
		await_all peer
		says got "got hello"
		serve peer stream -o got listen:127.0.0.1 recv-eof </dev/null
		# shellcheck disable=SC2086
		try haul connect $way --shell 'echo $PROTO $TCPREMOTEPORT' \
			127.0.0.1 "$port"
		is 0
		await_all peer
		says got "TCP $port"
	done
}

@test "connect: SIGTERM reaches the command" {
	for way in "${ways[@]}"; do
		rm -f ready term
		serve peer stream listen:127.0.0.1 recv-any </dev/null
		# shellcheck disable=SC2086
		start haul haul connect $way 127.0.0.1 "$port" -- sh -c "$waits"
		await_file ready
		kill "${PID[haul]}"
		await haul
		is 143 haul.err
		await_text term term
		await_all peer
	done
}

@test "standard input and output of haul are untouched, stderr is shared" {
	data 100000 in
	for way in "${ways[@]}"; do
		exec {shared}<in
		# shellcheck disable=SC2086
		serve haul haul listen $way 127.0.0.1 0 -- \
			sh -c 'cat; echo to stderr >&2' <&"$shared" >out
		client peer text=hello shut recv-eof
		await_all haul peer
		says peer.got hello
		says out
		says haul.err "to stderr"
		cat <&"$shared" >rest
		exec {shared}<&-
		same rest in
	done
}

@test "a command has no descriptor of ours, nor that of another client" {
	lists='import os, sys
print(*sorted(os.listdir("/proc/self/fd")), flush=True)
sys.stdin.read()'
	# What the tests themselves have open, and the folder that is read.
	start base /usr/bin/python3 -IS -c "$lists" </dev/null >expected
	await_all base
	for way in "${ways[@]}"; do
		# shellcheck disable=SC2086
		serve haul haul listen -k $way 127.0.0.1 0 -- \
			/usr/bin/python3 -IS -c "$lists"
		for n in 1 2 3; do
			start "peer$n" stream -o "got$n" \
				"connect:127.0.0.1:$port" recv=8 sleep=300 \
				shut recv-eof
		done
		await_all peer1 peer2 peer3
		for n in 1 2 3; do same "got$n" expected; done
		kill "${PID[haul]}"
		await haul
	done
}

@test "-k: a command that fails does not end the server; -v tells" {
	for way in "${ways[@]}"; do
		# shellcheck disable=SC2086
		serve haul haul listen -v -k --count 3 $way 127.0.0.1 0 -- \
			sh -c 'read n; echo "n is $n"; exit "$n"'
		for n in 5 0 7; do
			client peer text="$n\\n" recv-eof
			await_all peer
			says peer.got "n is $n"
		done
		await haul
		is 0 haul.err
		has haul.err "status 5" "status 7"
	done
}

@test "200 clients leave no zombie" {
	for way in "${ways[@]}"; do
		# shellcheck disable=SC2086
		serve haul haul listen -k $way 127.0.0.1 0 -- cat
		try /usr/bin/python3 -IS -c 'import socket, sys
where = ("127.0.0.1", int(sys.argv[1]))
for n in range(20):
    all = [socket.create_connection(where) for _ in range(10)]
    for s in all:
        s.sendall(b"hello")
        s.shutdown(socket.SHUT_WR)
    for s in all:
        data = b""
        while part := s.recv(100):
            data += part
        assert data == b"hello", data
        s.close()' "$port"
		is 0
		await_no_children haul
		runs haul
		kill "${PID[haul]}"
		await haul
	done
}

@test "-v: a client is told of before its command says anything" {
	serve haul haul listen -k -v 127.0.0.1 0 -- \
		sh -c 'echo child >&2; exec cat'
	"$PEERS/crowd.py" "127.0.0.1:$port" echo 100 10
	await_count haul.err child 100
	awk '/connection from/ { there++ }
		$1 == "child" && ++spoke > there { exit 1 }' haul.err
	ends_by_term
}

@test "a server with a waiting command is calm" {
	serve haul haul listen -k 127.0.0.1 0 -- cat
	client peer text=hello recv=5 sleep=9000
	await_size peer.got 5
	await_calm haul
	before=$(cpu_ms haul)
	nap 1
	within $(($(cpu_ms haul) - before)) 20
}

@test "datagrams: a command for every peer, which ends when it falls silent" {
	serve haul haul listen -u -k --idle-timeout 1s 127.0.0.1 0 -- \
		sh -c 'echo "$$ $HAUL_TRANSPORT"; exec cat'
	try /usr/bin/python3 -IS -c 'import socket, sys
where = ("127.0.0.1", int(sys.argv[1]))
first = []
for n in range(3):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(5)
    s.connect(where)
    s.send(b"hello %d" % n)
    text = b""
    while b"hello" not in text:
        text += s.recv(65536)
    first.append(text.split(b"\n")[0])
    assert text.endswith(b" udp\nhello %d" % n), text
assert len(set(first)) == 3, first' "$port"
	is 0
	await_no_children haul
	runs haul
	kill "${PID[haul]}"
	await haul
	# And one that does not read is terminated.
	serve haul haul listen -u -k --idle-timeout 1s 127.0.0.1 0 -- \
		sh -c "$waits"
	try dgram "to:127.0.0.1:$port" text=hello
	is 0
	await_file ready
	await_text term term
	await_no_children haul
	runs haul
}
