#!/usr/bin/env bats
# --activate: sockets that a parent has opened.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154
# quick: no

load lib/common

# A parent: parent FILE SOCKET... -- COMMAND...; opens sockets (tcp, udp, bound,
# file, unix:PATH, udp6), writes the port of the first to FILE, passes them as
# 3 and so on, and becomes COMMAND.
make_parent() {
	cat >parent <<'END'
#!/usr/bin/python3 -IS
import fcntl, os, socket, sys

at = sys.argv.index("--")
kept = []
for kind in sys.argv[2:at]:
    datagram = kind.startswith("udp")
    if kind == "file":
        kept.append(open("/dev/null"))
        continue
    if kind.startswith("unix:"):
        s = socket.socket(socket.AF_UNIX)
        s.bind(kind[5:])
    else:
        six = kind.endswith("6")
        s = socket.socket(socket.AF_INET6 if six else socket.AF_INET,
                          socket.SOCK_DGRAM if datagram
                          else socket.SOCK_STREAM)
        s.bind(("::1" if six else "127.0.0.1", 0))
    if not datagram and kind != "bound":
        s.listen(8)
    kept.append(s)
fds = [fcntl.fcntl(k.fileno(), fcntl.F_DUPFD, 50) for k in kept]
if fds and sys.argv[2] != "file" and \
        not sys.argv[2].startswith("unix:"):
    with open(sys.argv[1] + ".new", "w") as f:
        f.write("%d\n" % kept[0].getsockname()[1])
    os.rename(sys.argv[1] + ".new", sys.argv[1])
for i, fd in enumerate(fds):
    os.dup2(fd, 3 + i)
    os.close(fd)
os.environ["LISTEN_FDS"] = str(len(fds))
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ["LISTEN_FDNAMES"] = "x"
os.execvp(sys.argv[at + 1], sys.argv[at + 1:])
END
	chmod +x parent
}

# activate SOCKET... -- haul listen...: start it; when it is ready, what it says
# of where that is lies in $port.
activate() {
	local word words=()
	for word; do
		words+=("$word")
		[[ $word != listen ]] || words+=(--port-file haul.port)
	done
	make_parent
	rm -f haul.port
	start haul ./parent first.port "${words[@]}"
	await_ready haul
	port=$(<haul.port)
}

# systemd-socket-activate at a free port, which goes to $port; it takes no 0, so
# somebody may have been faster.
by_systemd() {
	local tries
	for tries in 1 2 3 4 5; do
		port=$(/usr/bin/python3 -c '
import socket
print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])')
		start haul systemd-socket-activate -l "127.0.0.1:$port" "$@"
		until grep -q 'Listening on' haul.err; do
			runs haul || continue 2
			nap
		done
		return
	done
	fail "no free port"
}

@test "a TCP socket" {
	data 100000 in
	data 50000 answer
	activate tcp -- haul listen --activate <in >out
	start peer stream -o got "connect:127.0.0.1:$port" send=answer shut \
		recv-eof
	await_all haul peer
	same got in
	same out answer
}

@test "several sockets, and where the first one is" {
	need_ipv6
	activate tcp tcp6 -- haul listen --activate -k >out
	same haul.port first.port
	try stream "connect:127.0.0.1:$port" text=hello shut recv-eof
	is 0
	await_text out hello
	inode=$(readlink "/proc/${PID[haul]}/fd/4")
	inode=${inode#socket:[} inode=${inode%]}
	# The table may show one twice when others change it.
	six=$(awk -v inode="$inode" '$10 == inode {
		print substr($2, 34); exit }' /proc/net/tcp6)
	try haul connect ::1 "$((16#$six))" <<<again
	is 0
	await_text out again
}

@test "the flags of the descriptor stay, nothing else is inherited" {
	activate tcp -- haul listen --activate -k -- env
	flags=$(awk '$1 == "flags:" { print $2 }' "/proc/${PID[haul]}/fdinfo/3")
	# Blocking; now close-on-exec.
	(((8#$flags & 8#4000) == 0 && (8#$flags & 8#2000000) != 0))
	try stream -o got "connect:127.0.0.1:$port" recv-eof
	is 0
	run ! grep ^LISTEN_ got
	has got '^TCPREMOTEIP=127.0.0.1'
	flags=$(awk '$1 == "flags:" { print $2 }' "/proc/${PID[haul]}/fdinfo/3")
	(((8#$flags & 8#4000) == 0))
	# It does not sleep in accept(2): a signal ends it.
	kill -TERM "${PID[haul]}"
	await haul 5
	is 143 haul.err
}

@test "a UNIX socket, whose path is the parent's" {
	activate unix:sock -- haul listen --activate >out
	says haul.port sock
	start peer stream connect-unix:sock text=hello shut recv-eof
	await_all haul peer
	says out hello
	[[ -S sock ]]
}

@test "a UDP socket, each peer a client" {
	activate udp -- haul listen --activate -u -k >out
	try dgram "to:127.0.0.1:$port" text=one
	is 0
	await_text out one
	try dgram "to:127.0.0.1:$port" text=two
	is 0
	await_text out two
}

@test "by systemd-socket-activate: TCP" {
	type systemd-socket-activate
	printf hello >in
	by_systemd "$HAUL" listen "$HAUL_MODE" --activate <in >out
	start peer stream -o got "connect:127.0.0.1:$port" text=hi shut recv-eof
	await_all haul peer
	says out hi
	says got hello
}

@test "by systemd-socket-activate: UNIX" {
	printf hello >in
	start haul systemd-socket-activate -l "$PWD/sock" \
		"$HAUL" listen "$HAUL_MODE" --activate <in >out
	await_file sock
	await_text haul.err 'Listening on'
	start peer stream -o got connect-unix:sock text=hi shut recv-eof
	await_all haul peer
	says out hi
	says got hello
	[[ -S sock ]]
}

@test "by systemd-socket-activate: datagrams" {
	start haul systemd-socket-activate -d -l "$PWD/sock" \
		"$HAUL" listen "$HAUL_MODE" --activate -u -k >out
	await_file sock
	await_text haul.err 'Listening on'
	try dgram to-unix:sock text=hello
	await_text out hello
}

@test "none were passed" {
	try haul listen --activate
	is 2
	says err "haul listen: --activate: no sockets were passed"
	LISTEN_FDS=1 LISTEN_PID=1 try haul listen --activate
	is 2
	says err "haul listen: --activate: no sockets were passed"
}

@test "what was passed is not what is asked for" {
	make_parent
	try ./parent port bound -- haul listen --activate
	is 5
	says err "haul listen: --activate: descriptor 3 does not listen"
	try ./parent port tcp udp -- haul listen --activate
	is 5
	says err "haul listen: --activate: descriptor 4 is no stream socket"
	try ./parent port tcp -- haul listen --activate -u
	is 5
	says err "haul listen: --activate: descriptor 3 is no datagram socket"
	try ./parent port tcp file -- haul listen --activate
	is 5
	says err "haul listen: --activate: descriptor 4 is no socket"
	# shellcheck disable=SC2046
	try ./parent port $(yes tcp | head -17) -- haul listen --activate
	is 5
	says err "haul listen: --activate: more than 16 sockets were passed"
}

@test "an address and --activate exclude each other" {
	make_parent
	try ./parent port tcp -- haul listen --activate 127.0.0.1 0
	is 2
	one_line err
}
