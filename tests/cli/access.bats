#!/usr/bin/env bats
# --allow and --deny: who may be a client.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load lib/common

# visit SOURCE...: a client from each of these addresses, one after the other; a
# line for each, of what it was given, or "reset" or "end".
visit() {
	/usr/bin/python3 -c '
import socket, sys

port = int(sys.argv[1])
for source in sys.argv[2:]:
    target = "::1" if ":" in source else "127.0.0.1"
    conn, got = None, b""
    try:
        conn = socket.create_connection((target, port), 20, (source, 0))
        while more := conn.recv(4096):
            got += more
    except ConnectionResetError:
        got += b"reset"
    print(got.decode() or "end", flush=True)
' "$port" "$@" {W}>&-
}

# fds NAME: how many descriptors a process has.
fds() {
	local -a all
	all=("/proc/${PID[$1]}/fd/"*)
	echo "${#all[@]}"
}

@test "who is denied gets nothing, the others do" {
	printf hello >in
	serve haul haul listen -k --deny 127.0.0.2 --deny 127.0.1.0/24 \
		0.0.0.0 0 <in >out
	visit 127.0.0.2 127.0.0.3 127.0.1.9 127.0.2.9 >got
	says got reset hello reset hello
}

@test "who is not allowed gets nothing where some are" {
	printf hello >in
	serve haul haul listen -k --allow 127.0.0.0/30 --deny 127.0.0.2 \
		0.0.0.0 0 <in >out
	visit 127.0.0.2 127.0.0.3 127.0.0.4 127.0.0.1 >got
	says got reset hello reset hello
}

@test "a list of IPv4 says nothing of IPv6, and the other way round" {
	need_ipv6
	printf hello >in
	serve haul haul listen -k --allow 127.0.0.0/8 0 <in >out
	visit 127.0.0.1 ::1 >got
	says got hello reset
	serve other haul listen -k --deny ::/0 0 <in >out
	visit 127.0.0.1 ::1 >got
	says got hello reset
}

@test "names and files" {
	printf hello >in
	cat >nets <<-END
		# who may come
		localhost	# us

		127.0.3.0/24
	END
	serve haul haul listen -k --allow @nets 0.0.0.0 0 <in >out
	visit 127.0.0.1 127.0.0.2 127.0.3.77 >got
	says got hello reset hello
}

@test "a refused client does not use up a listener for one" {
	printf hello >in
	serve haul haul listen --deny 127.0.0.2 0.0.0.0 0 <in >out
	visit 127.0.0.2 127.0.0.2 >got
	says got reset reset
	start peer stream -o got "connect:127.0.0.1:$port" text=hi shut recv-eof
	await_all peer haul
	says out hi
	says got hello
}

@test "nor is it counted" {
	printf hello >in
	serve haul haul listen --count 2 --deny 127.0.0.2 0.0.0.0 0 <in >out
	visit 127.0.0.2 127.0.0.1 127.0.0.2 127.0.0.1 >got
	says got reset hello reset hello
	await haul
	is 0 haul.err
}

@test "10,000 refused connections cost nothing" {
	printf hello >in
	serve haul haul listen -q -k --deny 127.0.0.1 0.0.0.0 0 <in >out
	visit 127.0.0.2 >got
	says got hello
	await_calm haul
	before=$(fds haul)
	/usr/bin/python3 -c '
import socket, sys

target = ("127.0.0.1", int(sys.argv[1]))
for i in range(10000):
    conn = socket.socket()
    conn.settimeout(20)
    try:
        conn.connect(target)
        assert conn.recv(1) == b""
    except ConnectionResetError:
        pass
    conn.close()
' "$port"
	visit 127.0.0.2 >got
	says got hello
	await_calm haul
	[[ $(fds haul) == "$before" ]]
	says haul.err
}

@test "UNIX sockets have nobody to allow or deny" {
	try haul listen -k --deny 127.0.0.1 unix:sock
	is 2
	one_line err
	[[ ! -e sock ]]
}

@test "datagrams" {
	serve haul haul listen -u -k --deny 127.0.0.2 0.0.0.0 0 >out
	/usr/bin/python3 -c '
import socket, sys

for source, text in ("127.0.0.2", b"no\n"), ("127.0.0.1", b"yes\n"):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((source, 0))
    s.sendto(text, ("127.0.0.1", int(sys.argv[1])))
' "$port"
	await_text out yes
	says out yes
}

@test "what is no network is a usage error" {
	for net in 192.0.2.1/24 192.0.2.0/33 ::/129 192.0.2 fe80::1%lo "a b" ""; do
		for option in --allow --deny; do
			try haul listen "$option" "$net" 127.0.0.1 0
			is 2
			one_line err
		done
	done
	printf '127.0.0.1\n\n127.0.0.1/8\n' >nets
	try haul listen --deny @nets 127.0.0.1 0
	is 2
	has err 'nets line 3'
}

@test "a file that is not there, a name that nobody knows" {
	try haul listen --deny @nothing 127.0.0.1 0
	is 1
	one_line err
	try haul listen --deny no-such-host.invalid 127.0.0.1 0
	is 3
	one_line err
	try haul listen -n --deny localhost 127.0.0.1 0
	is 3
	one_line err
}

@test "a COMMAND on all addresses needs a list of who is allowed" {
	try haul listen 0 -- cat
	is 2
	serve haul haul listen --allow 127.0.0.1 0 -- echo hello
	visit 127.0.0.2 127.0.0.1 >got
	says got reset hello
}
