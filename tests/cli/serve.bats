#!/usr/bin/env bats
# listen with many clients: standard input for all, their words on stdout, and
# nobody is harmed by another.
# runs: first
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load lib/common

CROWD=$PEERS/crowd.py

blocking() {
	[[ $HAUL_MODE == --blocking ]]
}

# limited N: haul with so many descriptors at most, whatever it raises.
limited() {
	WRAP=("$BASH" -c 'ulimit -n "$1"; shift 2; exec "$@"' limited "$1" --)
}

@test "a file on stdin is for every client from its start" {
	data 102400 file
	serve haul haul listen -k 127.0.0.1 0 <file >out
	"$CROWD" "127.0.0.1:$port" take 200 4096 file
	await_size out $((200 * 4096))
	# Each read whole: what was sent at once was not torn.
	"$CROWD" tagged 200 4096 <out
	runs haul
	# Also for who comes later, and for who says nothing.
	client late recv-eof
	await_all late
	same late.got file
	ends_by_term
	says haul.err
}

@test "many clients at once: everything on stdout, each in its order" {
	data 102400 file
	serve haul haul listen -k unix:sock <file >out
	"$CROWD" unix:sock take 200 102400 file
	await_size out $((200 * 102400))
	"$CROWD" tagged 200 102400 <out
	ends_by_term
	[[ ! -e sock ]]
}

@test "a tiny server: an empty file, a file that is read from its middle" {
	: >empty
	serve haul haul listen -k 127.0.0.1 0 <empty >out
	client one "text=hello\\n" recv-eof shut
	await_all one
	await_text out hello
	ends_by_term
	data 100000 file
	rm -f haul.port
	start haul "$BASH" -c '
		dd bs=1 count=777 of=/dev/null status=none
		exec "$HAUL" listen "$HAUL_MODE" -k --port-file haul.port \
			127.0.0.1 0' <file
	await_ready haul
	port=$(<haul.port)
	for n in 1 2; do
		client "$n" shut recv-eof
		await_all "$n"
		tail -c +778 file >want
		same "$n.got" want
	done
	ends_by_term
}

@test "what stdin says goes to everybody who is connected" {
	hold in
	serve haul haul listen -k -v 127.0.0.1 0 <in >out
	for n in 1 2 3; do client "$n" recv=6 "text=$n\\n" recv=6 touch="$n.two"; done
	connected 3
	echo first >&"$W"
	for n in 1 2 3; do await_text out "^$n\$"; done
	client late recv=7 touch=late.two
	connected 4
	echo second >&"$W"
	await_all late
	says late.got second
	for n in 1 2 3; do await_file "$n.two"; done
	for n in 1 2 3; do says "$n.got" first second; done
	ends_by_term
}

@test "nobody is connected: stdin waits, and nothing is lost" {
	data 3000000 in
	mkfifo feed
	start feeder "$BASH" -c 'cat in >feed'
	serve haul haul listen -k 127.0.0.1 0 <feed >out
	nap 0.3
	client one recv-eof
	await_all one feeder
	same one.got in
	# Later ones see the end at once.
	client two recv-eof "text=two\\n"
	await_all two
	[[ ! -s two.got ]]
	await_text out two
	ends_by_term
}

@test "the end of stdin half-closes everybody" {
	hold in
	serve haul haul listen -k -v 127.0.0.1 0 <in >out
	for n in 1 2 3; do client "$n" recv-eof "text=$n is left\\n"; done
	connected 3
	echo hello >&"$W"
	nap 0.1
	let_go
	await_all 1 2 3
	for n in 1 2 3; do
		says "$n.got" hello
		await_text out "^$n is left\$"
	done
	client late recv-eof "text=late\\n"
	await_all late
	await_text out '^late$'
	runs haul
	ends_by_term
}

@test "a reset, a stall, a flood and a slow reader harm nobody" {
	hold in
	head -c 100000000 /dev/zero >zeros
	serve haul haul listen -k -v 127.0.0.1 0 <in >out
	start stall stream -b 4096 "connect:127.0.0.1:$port" sleep=60000
	start slow stream -b 4096 -o slow.got "connect:127.0.0.1:$port" slow=8/20
	client good await=go "text=good\\n" recv=8000
	connected 3
	for n in {1..20}; do
		client "r$n" "text=bad\\n" reset
	done
	# It stays until all has come: leaving with unread lines is a reset.
	start flood stream "connect:127.0.0.1:$port" send=zeros shut \
		await=flooded
	touch go
	begin=$(now_ms)
	for n in {1..80}; do
		printf '%099d\n' "$n" >&"$W"
	done
	await good
	is 0 good.err
	within $(($(now_ms) - begin)) 3000
	[[ $(wc -l <good.got) == 80 ]]
	await_size out 100000005 40
	for _ in {1..50}; do
		[[ $(tr -dc '\0' <out | wc -c) != 100000000 ]] || break
		nap 0.1
	done
	touch flooded
	for n in {1..20}; do await "r$n"; done
	[[ $(tr -dc '\0' <out | wc -c) == 100000000 ]]
	tr -d '\0' <out >words
	has words '^good$'
	runs haul
	client after "text=after\\n"
	connected 25
	await_text out after
	ends_by_term
}

@test "who does not read is dropped when others wait, and told" {
	data 12000000 in.data
	hold in
	serve haul haul listen -k -v 127.0.0.1 0 <in >out
	start stall stream -b 4096 "connect:127.0.0.1:$port" sleep=60000
	client good recv=12000000
	connected 2
	begin=$(now_ms)
	cat in.data >&"$W"
	await good
	is 0 good.err
	within $(($(now_ms) - begin)) 6000
	same good.got in.data
	await_text haul.err 'dropped: it does not read'
	[[ $(grep -c dropped haul.err) == 1 ]]
	runs haul
	runs stall
	ends_by_term
}

@test "a slow reader that is alone is waited for" {
	data 4000000 in.data
	hold in
	serve haul haul listen -k 127.0.0.1 0 <in >out
	start slow stream -b 4096 -o slow.got "connect:127.0.0.1:$port" \
		sleep=1800 recv-eof
	cat in.data >&"$W"
	let_go
	await_all slow
	same slow.got in.data
	says haul.err
	ends_by_term
}

@test "--max-clients: the others wait until one leaves" {
	data 20000 file
	serve haul haul listen -k -v --max-clients 2 127.0.0.1 0 <file >out
	client 1 recv=20000 await=go-1 "text=1\\n"
	client 2 recv=20000 await=go-2 "text=2\\n"
	connected 2
	client 3 recv=20000 "text=3\\n"
	client 4 recv=20000 "text=4\\n"
	nap 0.3
	[[ $(grep -c 'connection from' haul.err) == 2 ]]
	[[ ! -s 3.got && ! -s 4.got ]]
	touch go-1
	await_all 1 3 4
	runs 2
	touch go-2
	await_all 2
	for n in 1 2 3 4; do
		same "$n.got" file
		await_text out "^$n\$"
	done
	ends_by_term
}

@test "--max-clients: one that has closed makes room, though stdin goes on" {
	hold in
	serve haul haul listen -k -v --max-clients 1 127.0.0.1 0 <in >out
	for n in 1 2 3 4; do
		client "$n" "text=$n\\n"
	done
	for n in 1 2 3 4; do await_text out "^$n\$" 3; done
	await_all 1 2 3 4
	client 5 recv=6
	connected 5
	echo hello >&"$W"
	await_all 5
	says 5.got hello
	ends_by_term
}

@test "--count: ends with 0 after so many, everything written" {
	data 102400 file
	serve haul haul listen --count 50 unix:sock <file >out
	"$CROWD" -c 10 unix:sock take 50 102400 file
	await_all haul
	"$CROWD" tagged 50 102400 <out
	[[ ! -e sock ]]
	serve haul haul listen -k --count 1 127.0.0.1 0 </dev/null >out
	client 1 "text=one\\n" shut recv-eof
	await_all 1 haul
	says out one
}

@test "--count: nobody beyond it is taken, and all are served to their end" {
	serve haul haul listen --count 2 -v 127.0.0.1 0 </dev/null >out
	client 1 await=go "text=one\\n"
	client 2 await=go "text=two\\n"
	connected 2
	nap 0.1
	try stream "connect:127.0.0.1:$port" recv-eof
	is 1
	touch go
	await_all 1 2 haul
	[[ $(sort out) == $'one\ntwo' ]]
}

@test "--count: a client that fails is one, and the status tells" {
	hold in
	serve haul haul listen --count 2 -v 127.0.0.1 0 <in >out
	client 1 "text=one\\n" acked reset
	await 1
	await_text haul.err 'reset by'
	runs haul
	client 2 "text=two\\n" shut
	let_go
	await_all 2
	await haul
	is 7 haul.err
	[[ $(sort out) == $'one\ntwo' ]]
}

@test "who only talks costs one descriptor" {
	local most=140
	# Four more each where threads are woken by pipes.
	if portable && blocking; then most=640; fi
	limited "$most"
	rm -f haul.port
	start haul "${WRAP[@]}" haul listen -k -d -v --port-file haul.port \
		127.0.0.1 0 >out
	await_ready haul
	port=$(<haul.port)
	start crowd "$CROWD" "127.0.0.1:$port" hold 120 there until
	connected 120
	client last "text=last\\n" shut recv-eof
	await last
	await_text out last
	touch until
	await crowd
	run ! grep 'open files' haul.err
	ends_by_term
}

@test "without a thread for one more, clients wait for one" {
	# The sanitizers need more memory.
	if ! blocking || sanitized; then return 0; fi
	start haul "$BASH" -c 'ulimit -v 16384; exec "$@"' x "$HAUL" listen \
		--blocking -k -d -v --count 101 --port-file haul.port \
		127.0.0.1 0 >out
	await_ready haul
	port=$(<haul.port)
	start crowd "$CROWD" "127.0.0.1:$port" hold 100 there until
	await_file there
	await_text haul.err 'cannot start a thread.*; waiting'
	runs haul
	touch until
	await crowd
	client last "text=last\\n" shut recv-eof
	await_all last haul
	is 0 haul.err
	says out last
	(($(grep -c 'connection from' haul.err) == 101))
	(($(grep -c 'waiting' haul.err) == 1))
}

@test "little and much of one client go to a file in order" {
	local steps=() n
	for n in 1 4096 4097 5 65536 7 4096 100 9000 3; do
		data "$n" "part${#steps[@]}"
		cat "part${#steps[@]}" >>in
		steps+=("send=part${#steps[@]}" sleep=10)
	done
	serve haul haul listen -k -d 127.0.0.1 0 >out
	client one "${steps[@]}" shut recv-eof
	await one
	await_size out "$(stat -c %s in)"
	same out in
	# What comes at once is read in pieces of any size.
	for n in {1..40}; do
		data $((n * 65536 + 100)) part
		cat part >>in
		client "$n" send=part shut recv-eof
		await "$n"
		await_size out "$(stat -c %s in)"
	done
	same out in
	ends_by_term
}

@test "a file that can take no more ends the server, with all that fits" {
	local steps=() n
	data 4000 part
	for n in {1..30}; do
		cat part >>in
		steps+=(send=part sleep=10)
	done
	rm -f haul.port
	start haul start fsize 100000 -- haul listen -k -d \
		--port-file haul.port 127.0.0.1 0 >out
	await_ready haul
	port=$(<haul.port)
	client one "${steps[@]}" recv-reset || :
	await haul
	is 1 haul.err
	one_line haul.err
	has haul.err 'file too large$'
	head -c 100000 in | cmp - out
}

@test "out of descriptors: those who are there go on, the others wait" {
	hold in
	rm -f haul.port
	limited 40
	start haul "${WRAP[@]}" haul listen -k -v --port-file haul.port \
		127.0.0.1 0 <in >out
	await_ready haul
	port=$(<haul.port)
	client first recv=6 "text=first\\n" recv=6
	connected 1
	start crowd "$CROWD" "127.0.0.1:$port" hold 100 there until
	await_file there
	await_text haul.err 'too many open files'
	before=$(cpu_ms haul)
	nap 2
	within $(($(cpu_ms haul) - before)) 40
	[[ $(grep -c 'too many open' haul.err) == 1 ]]
	echo hello >&"$W"
	await_text out first
	echo again >&"$W"
	await_all first
	says first.got hello again
	client later "text=later\\n" recv=4
	touch until
	await_all crowd
	await_text out later
	# The clients before it have to be seen to have left.
	for _ in {1..100}; do
		echo end >&"$W"
		runs later || break
		nap 0.03
	done
	await_all later
	ends_by_term
}

@test "out of descriptors: everybody is served in the end" {
	data 30000 file
	rm -f haul.port
	limited 60
	start haul "${WRAP[@]}" haul listen -k --port-file haul.port \
		unix:sock <file >out
	await_ready haul
	"$CROWD" unix:sock take 300 20480 file
	await_size out $((300 * 20480))
	"$CROWD" tagged 300 20480 <out
	ends_by_term
}

@test "out of descriptors: no client of any service is lost" {
	# Sixty who stay until haul has no descriptor left, and then leave.
	cat >stay.py <<-'EOF'
		import socket, sys, time
		port, answer = int(sys.argv[1]), sys.argv[2:]
		peers = []
		for n in range(60):
		    s = socket.create_connection(("127.0.0.1", port), 15)
		    s.sendall(b"I am number %2d\n" % n)
		    peers.append(s)
		end = time.monotonic() + 10
		while "too many open files" not in open("haul.err").read():
		    assert time.monotonic() < end, "descriptors are left"
		    time.sleep(0.01)
		time.sleep(0.3)
		for s in peers:
		    s.shutdown(socket.SHUT_WR)
		for n, s in enumerate(peers):
		    got = b""
		    while part := s.recv(65536):
		        got += part
		    want = b"I am number %2d\n" % n
		    if answer:
		        want = open(answer[0], "rb").read()
		    assert got == want, (n, len(got))
		    s.close()
	EOF
	data 5000 file
	serve up "$CROWD" 127.0.0.1:0 serve
	up=$port
	limited 40
	for service in "--forward 127.0.0.1:$up" "--shell cat" ""; do
		rm -f haul.port
		# shellcheck disable=SC2086
		start haul "${WRAP[@]}" haul listen -k $service \
			--port-file haul.port 127.0.0.1 0 <file >out
		await_ready haul
		port=$(<haul.port)
		if [[ $service ]]; then
			python3 stay.py "$port"
		else
			python3 stay.py "$port" file
			await_size out $((60 * 15))
			[[ $(sort -u out | wc -l) == 60 ]]
		fi
		# It waits, and it does not say so for each.
		(($(wc -l <haul.err) <= 5)) || fail "$(<haul.err)"
		! grep -v 'too many open files; waiting' haul.err
		ends_by_term
	done
}

@test "a file on stdin that fails ends its client at once, and is told" {
	# A regular file that says EIO.
	serve haul haul listen -k 127.0.0.1 0 </proc/self/mem >out
	begin=$(now_ms)
	client 1 recv-reset
	await_all 1
	within $(($(now_ms) - begin)) 2000
	await_text haul.err 'input/output error'
	ends_by_term
}

@test "an upload does not wait for a client that does not read" {
	truncate -s 200M zeros
	start haul haul listen -k --port-file haul.port 127.0.0.1 0 \
		< <(exec cat /dev/zero 3>&-) > >(exec cat >/dev/null 3>&-)
	await_ready haul
	port=$(<haul.port)
	# Let stdin fill what there is for it.
	client 1 unread=1 await=full send=zeros acked touch=sent await=end
	await_calm haul
	begin=$(now_ms)
	touch full
	await_file sent
	within $(($(now_ms) - begin)) 2500
	touch end
	await_all 1
	ends_by_term
}

@test "a signal resets everybody and ends the server" {
	hold in
	for signal in TERM INT HUP; do
		rm -f haul.err
		rm -f haul.port
		# A shell's child in the background ignores SIGINT.
		start haul start close "" -- haul listen -k -v \
			--port-file haul.port 127.0.0.1 0 <in >out
		await_ready haul
		port=$(<haul.port)
		for n in 1 2 3; do client "$n" "text=$n\\n" recv-reset; done
		await_size out 6
		kill -s "$signal" "${PID[haul]}"
		await haul
		is $((128 + $(kill -l "$signal"))) haul.err
		await_all 1 2 3
	done
}

@test "the signal ends it also when clients have closed and stdin is held" {
	hold in
	serve haul haul listen -k -v 127.0.0.1 0 <in >out
	for n in {1..10}; do
		client "$n" "text=$n\\n"
	done
	connected 10
	await_size out 21
	for n in {1..10}; do await "$n"; done
	nap 0.1
	ends_by_term
}

@test "--timeout, while clients are refused" {
	# As many as can be, so that one is there when the time has come.
	cat >knock.py <<-'EOF'
		import socket, sys
		error = 0
		while not error:
		    with socket.socket() as s:
		        error = s.connect_ex(("127.0.0.1", int(sys.argv[1])))
	EOF
	for _ in 1 2 3 4; do
		serve haul haul listen --deny 127.0.0.1 --timeout 250ms \
			127.0.0.1 0 </dev/null
		try python3 -IS knock.py "$port"
		is 0
		await haul
		is 6 haul.err
		one_line haul.err
		has haul.err 'the run has taken its --timeout$'
	done
}

@test "--timeout ends the run, with clients and without" {
	try haul listen -k -q --timeout 300ms 127.0.0.1 0
	is 6
	says err "haul listen: the run has taken its --timeout"
	within "$took" 1500
	hold in
	serve haul haul listen -k --timeout 2s 127.0.0.1 0 <in >out
	client 1 recv-reset
	await haul
	is 6 haul.err
	await_all 1
	# Whose client is asleep in its own call.
	serve haul haul listen -k -d -w 20s --timeout 2s 127.0.0.1 0 >out
	client 1 recv-reset
	await haul 5
	is 6 haul.err
	await_all 1
	# And who is asleep writing: nobody reads.
	mkfifo stuck
	exec {stuck}<>stuck
	serve haul haul listen -k -d --timeout 2s 127.0.0.1 0 >stuck
	client 1 send-reset
	await haul 5
	is 6 haul.err
	await_all 1
	exec {stuck}>&-
}

@test "--idle-timeout is each client's own" {
	hold in
	serve haul haul listen -k -v -w 1500ms 127.0.0.1 0 <in >out
	client quiet recv-reset touch=dropped
	client busy talk=50 await=dropped sleep=300 "text=end"
	begin=$(now_ms)
	await_all quiet busy
	at_least $(($(now_ms) - begin)) 1490
	within $(($(now_ms) - begin)) 4000
	await_text out '^\.+end\.*$'
	[[ $(grep -c 'idle-timeout' haul.err) == 1 ]]
	runs haul
	ends_by_term
}

@test "--idle-timeout: who uploads is not idle, whatever it does not read" {
	data 600000 file
	serve haul haul listen -k -w 1s 127.0.0.1 0 <file >out
	start client stream -b 4096 -o got "connect:127.0.0.1:$port" \
		talk=50 sleep=2200 recv=600000
	await_all client
	same got file
	ends_by_term
	says haul.err
}

@test "--accept-timeout: nobody is there for so long" {
	try haul listen -k --accept-timeout 300ms 127.0.0.1 0
	is 6
	has err 'accept-timeout'
	at_least "$took" 290
	within "$took" 1500
	serve haul haul listen -k --accept-timeout 2s 127.0.0.1 0 \
		</dev/null >out
	client 1 sleep=2400 "text=still\\n"
	await_all 1
	await haul
	is 6 haul.err
	says out still
}

@test "--accept-timeout: who came in time is served, however late that is seen" {
	for way in "" -k; do
		# shellcheck disable=SC2086
		serve haul haul listen $way --accept-timeout 1s 127.0.0.1 0 \
			</dev/null >out
		kill -STOP "${PID[haul]}"
		client 1 "text=hello\\n" touch=said shut recv-eof
		await_file said
		nap 1.1
		kill -CONT "${PID[haul]}"
		await_all 1
		await haul
		[[ $way == -k ]] || is 0 haul.err
		says out hello
		rm said
	done
}

@test "the reader of stdout leaves: the server ends with 1, also when idle" {
	mkfifo pipe
	for many in 0 1 5; do
		hold in
		rm -f gone haul.port
		start reader "$BASH" -c 'exec <pipe
			until [[ -e gone ]]; do sleep 0.02; done'
		start haul haul listen -k -v --port-file haul.port \
			127.0.0.1 0 <in >pipe
		await_ready haul
		port=$(<haul.port)
		for ((n = 0; n < many; n++)); do client "$n" recv-any; done
		connected "$many"
		touch gone
		await_all reader
		begin=$(now_ms)
		await haul
		is 1 haul.err
		within $(($(now_ms) - begin)) 1000
		for ((n = 0; n < many; n++)); do await "$n"; done
		let_go
		rm in
	done
}

@test "the reader of stdout leaves while clients flood" {
	head -c 20000000 /dev/zero >zeros
	serve haul haul listen -k -v 127.0.0.1 0 </dev/null \
		> >(head -c 1000000 >head.out 3>&-)
	for n in 1 2 3 4; do
		client "$n" send=zeros
	done
	await haul
	is 1 haul.err
	for n in 1 2 3 4; do await "$n"; done
	[[ $(grep -c dropped haul.err) == 0 ]]
}

@test "resets while there is something to say do not end the server" {
	hold in
	serve haul haul listen -k 127.0.0.1 0 <in >out
	start writer "$BASH" -c 'i=0; while [[ ! -e enough ]]; do
		printf "%01000d" $((i++)); sleep 0.002; done >in'
	for n in {1..30}; do
		try stream "connect:127.0.0.1:$port" recv=100 reset
		is 0
	done
	touch enough
	runs haul
	# With nobody there stdin waits, and so might the writer.
	client last recv-any
	await_all writer
	ends_by_term
	[[ $(grep -c dropped haul.err) == 0 ]]
}

@test "a stdout that is full holds up the clients, not stdin" {
	hold in
	mkfifo pipe
	head -c 8000000 /dev/zero >zeros
	start reader "$BASH" -c 'exec <pipe
		until [[ -e go ]]; do sleep 0.02; done; wc -c'
	start haul haul listen -k -v --port-file haul.port 127.0.0.1 0 \
		<in >pipe
	await_ready haul
	port=$(<haul.port)
	start talker stream "connect:127.0.0.1:$port" send=zeros shut
	client good recv=6
	connected 2
	echo hello >&"$W"
	await_all good
	await_calm haul
	runs talker
	touch go
	await_all talker
	ends_by_term
}

@test "1,000 idle clients: no CPU time" {
	hold in
	serve haul haul listen -k 127.0.0.1 0 <in >out
	start crowd "$CROWD" "127.0.0.1:$port" hold 1000 there until
	await_file there
	await_calm haul
	stays_calm haul 3
	touch until
	await_all crowd
	ends_by_term
}

rss() {
	sed -n 's/^VmRSS:[ \t]*\([0-9]*\).*/\1/p' "/proc/${PID[haul]}/status"
}

@test "an idle client costs less than 1 KiB of memory" {
	! blocking || return 0
	# Sanitizers have memory of their own.
	! sanitized || return 0
	(($(ulimit -Hn) > 10500)) || skip "no 10,500 descriptors"
	hold in
	serve haul haul listen -k 127.0.0.1 0 <in >out
	start few "$CROWD" "127.0.0.1:$port" hold 2000 few.there until
	await_file few.there
	await_calm haul
	few=$(rss)
	start many "$CROWD" "127.0.0.1:$port" hold 8000 many.there until
	await_file many.there
	await_calm haul
	many=$(rss)
	fds=("/proc/${PID[haul]}/fd"/*)
	((${#fds[@]} > 10000))
	(((many - few) * 1024 < 8000 * 1024)) ||
		fail "$(((many - few) * 1024 / 8000)) bytes a client"
	touch until
	await_all few many
	ends_by_term
}

@test "UNIX: --socket-mode, a stale path, and its end" {
	umask 022
	hold in
	serve haul haul listen -k --socket-mode 0660 unix:sock <in >out
	[[ $(stat -c %a sock) == 660 ]]
	try haul listen -k unix:sock
	is 5
	try stream connect-unix:sock "text=hello\\n"
	is 0
	await_text out hello
	kill -KILL "${PID[haul]}"
	await haul
	[[ -S sock ]]
	serve haul haul listen -k --socket-mode 600 unix:sock <in >out
	[[ $(stat -c %a sock) == 600 ]]
	try stream connect-unix:sock "text=again\\n"
	await_text out again
	ends_by_term
	[[ ! -e sock ]]
	try haul listen -k --socket-mode 1777 unix:sock
	is 2
}

@test "options that contradict each other" {
	for words in "--broker --forward 127.0.0.1:1" "--count x" \
		"--max-clients -1" "--broker --crlf" "--broker --no-stdin" \
		"--forward 127.0.0.1:1 --hold" "--forward nonsense" \
		"--proxy socks5://127.0.0.1:1" "--forward 127.0.0.1:99999"; do
		# shellcheck disable=SC2086
		try haul listen $words --accept-timeout 1ms 127.0.0.1 0
		is 2 || fail "$words"
		[[ ! -s out ]]
	done
}
