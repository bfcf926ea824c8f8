#!/usr/bin/env bats
# --telnet: options are refused and taken out, a byte 255 is doubled.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load lib/common

# telnetd -p PORTFILE STEP...: a server for one client. send=HEX, bytes=HEX (one
# a packet), file=FILE (as telnet sends it), expect=HEX, take=FILE (all the data
# that comes; what else comes is said in FILE.said), shut, close, last=HEX (in
# one packet with the end, and close).
make_server() {
	cat >telnetd <<'END'
#!/usr/bin/python3 -IS
import os, socket, sys, time

port_file, steps = sys.argv[2], sys.argv[3:]
listener = socket.create_server(("127.0.0.1", 0))
with open(port_file + ".new", "w") as f:
    f.write("%d\n" % listener.getsockname()[1])
os.rename(port_file + ".new", port_file)
listener.settimeout(20)
conn, _ = listener.accept()
conn.settimeout(20)
conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def take(name):
    raw = b""
    while more := conn.recv(65536):
        raw += more
    parts = raw.split(b"\xff")
    data, said, i = parts[0], [], 1
    while i < len(parts):
        if parts[i] == b"":            # 255 255
            data += b"\xff" + parts[i + 1]
            i += 2
        else:
            said.append(parts[i][:2].hex())
            data += parts[i][2:]
            i += 1
    with open(name, "wb") as f:
        f.write(data)
    with open(name + ".said", "w") as f:
        f.write("".join(s + "\n" for s in sorted(said)))


def expect(want):
    got = b""
    while len(got) < len(want):
        more = conn.recv(len(want) - len(got))
        assert more, "the end after " + got.hex()
        got += more
    assert got == want, got.hex()


for step in steps:
    verb, _, value = step.partition("=")
    if verb == "send":
        conn.sendall(bytes.fromhex(value))
    elif verb == "bytes":
        for byte in bytes.fromhex(value):
            conn.sendall(bytes([byte]))
            time.sleep(0.001)
    elif verb == "file":
        with open(value, "rb") as f:
            conn.sendall(f.read().replace(b"\xff", b"\xff\xff"))
    elif verb == "expect":
        expect(bytes.fromhex(value))
    elif verb == "take":
        take(value)
    elif verb == "last":
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        conn.sendall(bytes.fromhex(value))
        conn.close()
    elif verb == "shut":
        conn.shutdown(socket.SHUT_WR)
    elif verb == "close":
        conn.close()
END
	chmod +x telnetd
}

# run_against STEP...: haul as its client, from in to out. It holds its direction
# open: after a half-close nothing could be answered.
run_against() {
	make_server
	serve peer ./telnetd "$@"
	start haul haul connect --telnet --hold 127.0.0.1 "$port" <in >out
	await_all haul peer
}

@test "what is negotiated is refused, and no part of the data" {
	: >in
	# DO 1, DO 24, WILL 3, a subnegotiation, NOP, GA, "login: "
	run_against send=fffd01fffd18fffb03 \
		send=fffa180102fff0fff1fff96c6f67696e3a20 \
		expect=fffc01fffc18fffe03 shut take=got close
	printf 'login: ' >want
	same out want
	says got
	says got.said
}

@test "so it is where it comes in parts of one byte" {
	: >in
	# IAC IAC within a subnegotiation does not end it.
	run_against bytes=61fffd0162fffb0363fffa18fffff065fff0ffff0d0a \
		expect=fffc01fffe03 shut take=got close
	printf 'abc\377\r\n' >want
	same out want
}

@test "an option is answered once until it is taken back" {
	: >in
	run_against send=fffd01fffd01fffd0161 expect=fffc01 \
		send=fffd0162fffe0163 send=fffd0164 expect=fffc01 shut \
		take=got close
	says out abcd
	says got.said
}

@test "bytes of any value go both ways" {
	data 300000 in
	head -c 5000 /dev/zero | tr '\0' '\377' >>in
	data 200000 answer
	cat in >>answer
	run_against send=fffd01fffb02 file=answer shut take=got close
	same out answer
	same got in
	says got.said fc01 fe02
}

@test "without --telnet nothing is touched" {
	make_server
	printf 'x\377\377' >in
	serve peer ./telnetd send=fffd0161ffff shut take=got close
	start haul haul connect 127.0.0.1 "$port" <in >out
	await_all haul peer
	printf '\377\375\001a\377\377' >want
	same out want
	printf 'x\377' >want
	same got want
}

@test "a server that asks and closes at once is not offended" {
	: >in
	make_server
	serve peer ./telnetd last=fffd01fffb03627965fffd03
	start haul haul connect --telnet --receive-only 127.0.0.1 "$port" >out
	await_all haul peer
	says out bye
}
