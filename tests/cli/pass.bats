#!/usr/bin/env bats
# --pass-fd: the connection goes to whoever is at the other end of stdout.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154
# quick: no

load lib/common

# receiver COMMAND...: run it with a UNIX socket as stdout, take the descriptor
# that comes from there, say "hello" on it and print the answer.
make_receiver() {
	cat >receiver <<'END'
#!/usr/bin/python3 -IS
import array, fcntl, os, socket, subprocess, sys

ours, theirs = socket.socketpair()
child = subprocess.Popen(sys.argv[1:], stdout=theirs.fileno())
theirs.close()
ours.settimeout(20)
data, control, _, _ = ours.recvmsg(16, socket.CMSG_SPACE(4))
assert len(data) == 1 and len(control) == 1, (data, control)
fd = array.array("i", control[0][2])[0]
assert child.wait(20) == 0, child.returncode
assert fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK == 0
assert ours.recv(16) == b""
conn = socket.socket(fileno=fd)
conn.settimeout(20)
linger = conn.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)
assert linger[:4] == bytes(4), linger
conn.sendall(b"hello\n")
conn.shutdown(socket.SHUT_WR)
while more := conn.recv(4096):
    os.write(1, more)
END
	chmod +x receiver
}

@test "a TCP connection" {
	make_receiver
	serve peer stream -o got listen:127.0.0.1 text=answer recv-eof shut \
		</dev/null
	try ./receiver "$HAUL" connect "$HAUL_MODE" --pass-fd 127.0.0.1 "$port"
	is 0
	says out answer
	await_all peer
	says got hello
}

@test "a UNIX connection" {
	make_receiver
	serve peer stream -o got listen-unix:sock text=answer recv-eof shut \
		</dev/null
	try ./receiver "$HAUL" connect "$HAUL_MODE" --pass-fd unix:sock
	is 0
	says out answer
	await_all peer
	says got hello
}

@test "stdin is not touched" {
	make_receiver
	serve peer stream listen:127.0.0.1 text=answer recv-eof shut </dev/null
	printf 'first\nsecond\n' >in
	{
		try ./receiver "$HAUL" connect "$HAUL_MODE" --pass-fd \
			127.0.0.1 "$port"
		read -r line
	} <in
	is 0
	[[ $line == first ]]
}

@test "ssh takes it (ProxyUseFdpass)" {
	serve peer stream -o got listen:127.0.0.1 recv=8 reset </dev/null
	try ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=no \
		-o UserKnownHostsFile=/dev/null -o ProxyUseFdpass=yes \
		-o ProxyCommand="'$HAUL' connect $HAUL_MODE --pass-fd %h %p" \
		-p "$port" nobody@127.0.0.1 true
	is 255
	await_all peer
	[[ $(<got) == SSH-2.0- ]]
}

@test "stdout is no UNIX socket: told before anybody is connected to" {
	try haul connect --pass-fd 127.0.0.1 1
	is 1
	one_line err
	has err 'standard output'
}

@test "nobody takes it" {
	serve peer stream listen:127.0.0.1 recv-reset </dev/null
	try /usr/bin/python3 -c '
import socket, subprocess, sys
ours, theirs = socket.socketpair()
ours.close()
sys.exit(subprocess.run(sys.argv[1:], stdout=theirs.fileno()).returncode)
' "$HAUL" connect "$HAUL_MODE" --pass-fd 127.0.0.1 "$port"
	is 1
	one_line err
	await_all peer
}
