#!/usr/bin/env bats
# Datagrams: never split, merged, cut, or taken for an end.
# runs: first
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load lib/common

# Sizes at which other tools cut.
sizes=(1 1472 8193 16385 60000 65507)
ends=(127.0.0.1 ::1 unix)

# at_end END: the addresses of this end, as haul and the peer take them:
# haul_listens, peer_binds, and after the start of one of them (port is set)
# haul_connects and peer_connects.
at_end() {
	haul_listens=("$1" 0) peer_binds=bind:$1
	haul_connects=("$1" "${port-}") peer_connects=to:$1:${port-}
	if [[ $1 == unix ]]; then
		haul_listens=(unix:sock) peer_binds=bind-unix:sock
		haul_connects=(unix:sock) peer_connects=to-unix:sock
	fi
}

# The line of dgram.py for what a file holds.
told() {
	local sum
	sum=$(sha256sum <"$1")
	echo "$(stat -c %s "$1") ${sum%% *}"
}

@test "send: datagrams of all sizes arrive whole" {
	need_ipv6
	for end in "${ends[@]}"; do
		at_end "$end"
		rm -f sock want
		serve peer dgram "$peer_binds" "recv=${#sizes[@]}" >said
		at_end "$end"
		for size in "${sizes[@]}"; do
			data "$size" in
			told in >>want
			try haul send -u "${haul_connects[@]}" <in
			is 0
			says err
			await_text said "^$size "
		done
		await_all peer
		same said want
	done
}

@test "receive: datagrams of all sizes arrive whole" {
	need_ipv6
	for end in "${ends[@]}"; do
		at_end "$end"
		rm -f sock
		serve haul haul receive -u "${haul_listens[@]}" >out
		at_end "$end"
		sum=0
		for size in "${sizes[@]}"; do
			try -r dgram "$peer_connects" "send=$size" >said
			is 0
			sum=$((sum + size))
			await_size out "$sum"
			tail -c "$size" out >part
			says said "$(told part)"
		done
		kill "${PID[haul]}"
		await haul
	done
}

@test "connect: datagrams of all sizes, there and back" {
	need_ipv6
	# Without a name of its own, which only Linux gives by itself, a client
	# of a UNIX socket cannot be answered.
	! portable || ends=(127.0.0.1 ::1)
	for end in "${ends[@]}"; do
		at_end "$end"
		rm -f sock
		serve peer dgram "$peer_binds" echo-all >/dev/null
		at_end "$end"
		for size in "${sizes[@]}"; do
			data "$size" in
			try haul connect -u --linger 500ms \
				"${haul_connects[@]}" <in
			is 0
			same out in
		done
		kill "${PID[peer]}"
	done
}

@test "listen: datagrams of all sizes, there and back" {
	need_ipv6
	for end in 127.0.0.1 ::1; do
		hold held
		serve haul haul listen -u "$end" 0 <held >out
		at_end "$end"
		start peer dgram "$peer_connects" \
			send=1 send=1472 send=8193 send=16385 send=60000 \
			sleep=100 send=65507 touch=sent recv=1 silent=100 >said
		await_file sent
		await_size out $((1 + 1472 + 8193 + 16385 + 60000 + 65507))
		# What came is what was sent, one after the other.
		offset=0
		while read -r size sum; do
			slice out "$offset" "$size" >part
			[[ $(told part) == "$size $sum" ]]
			offset=$((offset + size))
		done < <(head -n 6 said)
		echo answer >&"$W"
		await_all peer
		[[ $(tail -n 1 said) == 7\ * ]]
		kill "${PID[haul]}"
		await haul
		let_go
		rm held sent
	done
}

@test "a long input is cut into datagrams, none of it lost" {
	data 200000 in
	serve peer dgram bind-unix:sock recv=4 silent=200 >said
	try haul send -u unix:sock <in
	is 0
	await_all peer
	offset=0
	for size in 65507 65507 65507 3479; do
		slice in "$offset" "$size" >part
		told part
		offset=$((offset + size))
	done >want
	same said want
}

@test "--datagram line: a datagram a line, with empty lines and a last part" {
	for sub in send connect; do
		serve peer dgram bind:127.0.0.1 recv=4 silent=200 >said
		opts=(--linger 100ms)
		[[ $sub == connect ]] || opts=()
		try haul "$sub" -u --datagram line "${opts[@]}" \
			127.0.0.1 "$port" < <(printf 'a\nbb\n\nccc')
		is 0
		await_all peer
		for text in 'a\n' 'bb\n' '\n' 'ccc'; do
			# shellcheck disable=SC2059
			printf "$text" >part
			told part
		done >want
		same said want
	done
}

@test "--datagram line: lines that come in pieces, and the longest line" {
	head -c 65506 /dev/zero | tr '\0' x >long
	echo >>long
	serve peer dgram bind-unix:sock recv=3 silent=100 >said
	mkfifo pipe
	start feeder "$BASH" -c 'exec >pipe; printf one; sleep 0.1
		printf -- "-half\ntwo"; sleep 0.1; printf "\n"; cat long'
	try haul send -u --datagram line unix:sock <pipe
	is 0
	await_all peer feeder
	{
		printf 'one-half\n' >part
		told part
		printf 'two\n' >part
		told part
		told long
	} >want
	same said want
}

# Lines of 0 to 3000 bytes, among them one of the greatest length.
@test "--datagram line: hundreds of lines at once, each its own datagram" {
	python3 - >sizes <<-'END'
		import hashlib, random
		random.seed(7)
		with open("in", "wb") as file:
		    for i in range(700):
		        size = 65506 if i == 350 else random.randrange(3000)
		        line = random.randbytes(size).replace(b"\n", b"n") + b"\n"
		        file.write(line)
		        print(len(line), hashlib.sha256(line).hexdigest())
	END
	for options in "" "--limit 8M"; do
		# A UNIX socket takes ten at a time, and loses none.
		rm -f sock
		serve peer dgram bind-unix:sock recv=700 silent=100 >said
		# shellcheck disable=SC2086
		try haul connect -u --datagram line --send-only $options \
			unix:sock <in
		is 0
		await_all peer
		same said sizes
	done
}

@test "--datagram line: the lines before one that is too long are sent" {
	printf 'one\ntwo\n' >in
	head -c 65508 /dev/zero | tr '\0' x >>in
	printf '\nfour\n' >>in
	serve peer dgram bind-unix:sock recv=2 silent=200 >said
	try haul send -u --datagram line unix:sock <in
	is 1
	one_line err
	await_all peer
	for text in one two; do
		echo "$text" >part
		told part
	done >want
	same said want
}

@test "--datagram line: a line that is too long is an error" {
	head -c 65508 /dev/zero | tr '\0' x >long
	serve peer dgram bind-unix:sock sleep=200 silent=100
	try haul send -u --datagram line unix:sock <long
	is 1
	one_line err
	await_all peer
}

@test "an empty input is no datagram" {
	serve peer dgram bind:127.0.0.1 silent=300
	try haul send -u 127.0.0.1 "$port" </dev/null
	is 0
	await_all peer
}

@test "an empty datagram is data, not an end" {
	serve haul haul receive -u 127.0.0.1 0 >out
	start peer dgram "to:127.0.0.1:$port" send=0,5,0,7 >said
	await_size out 12
	runs haul
	kill "${PID[haul]}"
	await haul
	await_all peer
	serve peer dgram bind:127.0.0.1 recv=1 send=0,6 recv=1 silent=100 >said
	hold held
	start haul haul connect -u 127.0.0.1 "$port" <held >out
	echo one >&"$W"
	await_size out 6
	echo two >&"$W"
	await_all peer
	let_go
	await_all haul
}

@test "receive: prints what several senders send" {
	serve haul haul receive -u 127.0.0.1 0 >got
	for n in 1 2 3; do
		try dgram "to:127.0.0.1:$port" "text=from $n\\n"
		is 0
		await_text got "^from $n\$"
	done
	says got "from 1" "from 2" "from 3"
	kill "${PID[haul]}"
	await haul
}

@test "listen: talks with its first peer only" {
	hold held
	serve haul haul listen -u 127.0.0.1 0 <held >out
	start first dgram "to:127.0.0.1:$port" "text=first\\n" recv=1 \
		await=go "text=again\\n" silent=200 >said
	await_text out first
	start second dgram "to:127.0.0.1:$port" "text=second\\n" silent=300 \
		2>second.err
	echo answer >&"$W"
	await_text said '^7 '
	nap 0.1
	touch go
	await_text out again
	says out first again
	await first
	is 0 first.err
	kill "${PID[haul]}"
	await haul
}

@test "listen: a stdout that is not read for long loses nothing" {
	mkfifo pipe
	start reader "$BASH" -c 'exec <pipe
		until [[ -e go ]]; do sleep 0.02; done
		cat >out'
	serve haul haul listen -u --linger 300ms 127.0.0.1 0 </dev/null >pipe
	steps=()
	# More than the pipe holds, and what the kernel does in any case.
	for _ in {1..12}; do steps+=(send=10000 sleep=5); done
	start peer dgram "to:127.0.0.1:$port" "${steps[@]}" >said
	await_all peer
	# Longer than what haul lingers.
	nap 0.6
	runs haul
	touch go
	await_all reader haul
	offset=0
	while read -r size sum; do
		slice out "$offset" "$size" >part
		[[ $(told part) == "$size $sum" ]]
		offset=$((offset + size))
	done <said
	[[ $offset == 120000 && $(stat -c %s out) == 120000 ]]
}

@test "listen: answers from the address that was asked" {
	hold held
	serve haul haul listen -u 0 <held >out
	start peer dgram "to:127.0.0.5:$port" "text=hello\\n" recv=1 >said
	await_text out hello
	echo answer >&"$W"
	await_all peer
	has said '^7 '
}

@test "nobody there: the refusal is told, once" {
	for sub in send connect; do
		try haul "$sub" -u 127.0.0.1 1 <<<hello
		is 4
		says err "haul $sub: 127.0.0.1 port 1: connection refused"
		within "$took" 2500
	done
	try haul send -u unix:nosuch <<<hello
	is 4
	one_line err
}

@test "the peer goes away after a reply: told once, status 7" {
	hold held
	serve peer dgram bind:127.0.0.1 echo=1
	start haul haul connect -u 127.0.0.1 "$port" <held >out
	echo hello >&"$W"
	await_text out hello
	await peer
	# With an open stdin this ends nothing.
	for n in 1 2 3 4; do
		echo "more $n" >&"$W"
		nap 0.1
		runs haul
	done
	says haul.err "haul connect: 127.0.0.1 port $port: connection refused"
	let_go
	await haul
	is 7 haul.err
	says haul.err "haul connect: 127.0.0.1 port $port: connection refused"
}

@test "a question, its answer, and gone in a second" {
	serve peer dgram bind:127.0.0.1 echo-all >/dev/null
	try haul connect -u 127.0.0.1 "$port" <<<question
	is 0
	says out question
	at_least "$took" 900
	within "$took" 2500
	# A slow answer is still waited for.
	serve slow dgram bind:127.0.0.1 recv=1 sleep=400 "text=late"
	try haul connect -u 127.0.0.1 "$port" <<<question
	is 0
	says out late
}

@test "send -u leaves at once" {
	serve peer dgram bind:127.0.0.1 recv=1
	try haul send -u 127.0.0.1 "$port" <<<hello
	is 0
	within "$took" 700
	await_all peer
}

@test "UNIX datagrams: haul to haul, and peers without a name" {
	data 30000 in
	serve haul haul receive -u unix:sock >got
	try haul send -u unix:sock <in
	is 0
	await_size got 30000
	same got in
	kill "${PID[haul]}"
	await haul
	[[ ! -e sock ]]
	# We cannot answer a peer that has no name, but it can talk to us.
	hold held
	serve haul haul listen -u unix:sock <held >got
	try dgram to-unix:sock "text=hello\\n"
	is 0
	await_text got hello
	try dgram to-unix:sock "text=again\\n"
	await_text got again
	kill "${PID[haul]}"
	await haul
	# Question and answer between two hauls.
	! portable || return 0
	let_go
	rm held
	hold held
	serve haul haul listen -u unix:sock <held >got
	start client haul connect -u --linger 2s unix:sock <<<question >reply
	await_text got question
	echo answer >&"$W"
	await_all client
	says reply answer
}

@test "UNIX datagrams above 64 KiB arrive whole, or it is told" {
	serve haul haul receive -u unix:sock >got
	start peer dgram to-unix:sock send=70000,131073,200000 >said
	await peer
	for _ in {1..100}; do
		(($(stat -c %s got) < 401073)) && [[ ! -s haul.err ]] || break
		nap 0.03
	done
	if [[ -s haul.err ]]; then
		one_line haul.err
	else
		[[ $(stat -c %s got) == 401073 ]]
	fi
}

@test "--crlf and datagrams" {
	serve peer dgram bind:127.0.0.1 recv=2 silent=100 >said
	try haul connect -u -C --datagram line --linger 100ms \
		127.0.0.1 "$port" < <(printf 'a\nb\r\n')
	is 0
	await_all peer
	{
		printf 'a\r\n' >part
		told part
		printf 'b\r\n' >part
		told part
	} >want
	same said want
}
