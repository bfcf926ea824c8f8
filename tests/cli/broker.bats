#!/usr/bin/env bats
# listen --broker: what one client sends goes to all the others.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load lib/common

CROWD=$PEERS/crowd.py

@test "everybody gets what the others send, and not its own" {
	serve haul haul listen --broker -v 127.0.0.1 0 >out
	client 1 await=go-1 "text=one\\n" recv=10
	client 2 recv=4 await=go-2 "text=two\\n" recv=6
	client 3 recv=8 "text=three\\n"
	connected 3
	touch go-1
	await_size 2.got 4
	await_size 3.got 4
	touch go-2
	await_all 1 2 3
	says 1.got two three
	says 2.got one three
	says 3.got one two
	[[ ! -s out ]]
	ends_by_term
	# stdin is nobody's.
	serve haul haul listen --broker -v 127.0.0.1 0 >out <<<nothing
	client 4 await=go-4
	connected 1
	nap 0.1
	[[ ! -s 4.got ]]
	touch go-4
	await_all 4
	ends_by_term
}

@test "a crowd: each hears all the others whole, in TCP and UNIX" {
	for address in 127.0.0.1 unix:sock; do
		rm -f sock all all.*
		[[ $address == unix* ]] || address="$address 0"
		# shellcheck disable=SC2086
		serve haul haul listen --broker -v $address
		[[ $address == unix* ]] || address=127.0.0.1:$port
		start crowd "$CROWD" "$address" meet 60 4000 all until
		await_file all.connected
		connected 60
		touch all.go
		await_file all
		touch until
		await_all crowd
		ends_by_term
		! grep -q dropped haul.err
	done
}

@test "a stream of 20 MB to three others, with digests" {
	data 20000000 in
	serve haul haul listen --broker -v 127.0.0.1 0
	for n in 1 2 3; do client "$n" recv=20000000; done
	connected 3
	client talker send=in acked
	await_all 1 2 3 talker
	for n in 1 2 3; do same "$n.got" in; done
	ends_by_term
}

@test "who comes later hears what comes later" {
	serve haul haul listen --broker -v 127.0.0.1 0
	client talker "text=early\\n" await=go "text=late\\n"
	client first recv=1 touch=heard recv-any
	connected 2
	# The first may have missed what was said before it came.
	touch go
	await_all talker
	await_text first.got late
	client second recv=6
	connected 3
	client other "text=third\\n"
	await_all second other
	says second.got third
	ends_by_term
	await first
}

@test "a slow reader is dropped and told; the others get all" {
	data 16000000 in
	serve haul haul listen --broker -v 127.0.0.1 0
	start stall stream -b 4096 "connect:127.0.0.1:$port" sleep=60000
	start slow stream -b 4096 "connect:127.0.0.1:$port" slow=4/100
	for n in 1 2; do client "$n" recv=16000000 await=end; done
	connected 4
	begin=$(now_ms)
	client talker send=in recv-any
	for n in 1 2; do await_size "$n.got" 16000000; done
	within $(($(now_ms) - begin)) 8000
	for n in 1 2; do same "$n.got" in; done
	touch end
	await_all 1 2
	for _ in {1..150}; do
		(($(grep -c 'it does not read' haul.err) < 2)) || break
		nap 0.02
	done
	[[ $(grep -c 'dropped: it does not read' haul.err) == 2 ]]
	runs haul
	ends_by_term
}

@test "who was slow once is not dropped at the next burst" {
	data 600000 in.a
	data 1600000 in.b
	data 4000000 burst
	serve haul haul listen --broker -v --sockopt sndbuf=65536 127.0.0.1 0
	client a await=a.on flood=in.a await=read recv=1600000 join touch=a.done \
		await=burst-on send=burst await=end
	start b stream -b 32768 -o b.got "connect:127.0.0.1:$port" \
		await=b.on flood=in.b await=read recv=600000 join touch=b.done \
		await=read-again recv=4000000 await=end
	connected 2
	# Both stall for a moment, with what they have said themselves between.
	touch a.on
	nap 0.1
	touch b.on
	nap 0.15
	touch read
	await_file a.done
	await_file b.done
	# Longer than anybody may hold up the others.
	nap 1.2
	touch burst-on
	nap 0.2
	touch read-again
	await_size b.got 4600000
	cat in.a burst >want
	same b.got want
	same a.got in.b
	touch end
	await_all a b
	[[ $(grep -c dropped haul.err) == 0 ]]
	ends_by_term
}

@test "everybody floods everybody, some reset" {
	data 3000000 in
	serve haul haul listen --broker -v 127.0.0.1 0
	for n in 1 2 3 4; do
		client "$n" await=go flood=in recv=9000000 join await=end
	done
	for n in 5 6 7; do
		client "$n" recv=200000 reset
	done
	connected 7
	touch go
	await_all 5 6 7
	for n in 1 2 3 4; do await_size "$n.got" 9000000; done
	touch end
	await_all 1 2 3 4
	# None of these; who resets may be late for it on a busy machine.
	(($(grep -c dropped haul.err) <= 3))
	ends_by_term
}

@test "a half-close is not an end: who has said all still hears" {
	serve haul haul listen --broker -v 127.0.0.1 0
	client quiet shut recv=6
	connected 1
	client talker "text=hello\\n"
	await_all quiet talker
	says quiet.got hello
	ends_by_term
}

@test "--max-clients: one that has closed makes room" {
	serve haul haul listen --broker -v --max-clients 2 127.0.0.1 0
	client 1 recv=17 await=go
	connected 1
	client 2 "text=hello\\n"
	await_all 2
	await_size 1.got 6
	# The second has closed: a third may come.
	client 3 "text=third\\n"
	await_size 1.got 12
	await_all 3
	client 4 "text=last\\n"
	await_size 1.got 17
	touch go
	await_all 1 4
	says 1.got hello third last
	ends_by_term
}

@test "--broker and COMMAND, stdin's options: usage" {
	for words in "--forward 127.0.0.1:1" "--shell true" "-d" "--hold" \
		"--send-only" "--line-delay 1s"; do
		# shellcheck disable=SC2086
		try haul listen --broker $words --timeout 1ms 127.0.0.1 0
		is 2 || fail "$words"
	done
}
