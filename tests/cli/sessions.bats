#!/usr/bin/env bats
# listen -u -k: each peer that sends datagrams is a client of its own.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load lib/common

SIZES=0,1,1472,8193,16385,60000,65507

# peer NAME STEP...: of the server; what dgram.py says is in NAME.said.
peer() {
	start "$1" dgram "to:127.0.0.1:$port" "${@:2}" >"$1.said"
}

@test "COMMAND: each peer has one of its own, and its answers" {
	serve haul haul listen -u -k 127.0.0.1 0 -- cat
	steps=()
	for size in ${SIZES//,/ }; do
		# An empty one is nothing to a command that reads a stream.
		((size == 0)) || steps+=("send=$size" recv=1)
	done
	# As many as the kernel keeps datagrams of this size.
	for n in 1 2 3; do peer "$n" "${steps[@]}"; done
	await_all 1 2 3
	for n in 1 2 3; do
		awk 'NR % 2' "$n.said" >sent
		awk 'NR % 2 == 0' "$n.said" >got
		[[ $(wc -l <got) == 6 ]]
		same got sent
	done
	[[ $(pgrep -c -P "${PID[haul]}" cat) == 3 ]]
	says haul.err
	ends_by_term
}

@test "COMMAND ends with the session, after the idle limit" {
	serve haul haul listen -u -k -v -w 400ms 127.0.0.1 0 -- cat
	peer 1 "text=one\\n" recv=1
	begin=$(now_ms)
	await_all 1
	await_text haul.err 'has ended'
	at_least $(($(now_ms) - begin)) 300
	within $(($(now_ms) - begin)) 2000
	for _ in {1..50}; do
		pgrep -P "${PID[haul]}" >/dev/null || break
		nap 0.02
	done
	[[ ! $(pgrep -P "${PID[haul]}") ]]
	[[ $(grep -c 'connection from' haul.err) == 1 ]]
	peer 2 "text=two\\n" recv=1
	await_all 2
	[[ $(grep -c 'connection from' haul.err) == 2 ]]
	ends_by_term
}

@test "--forward: sizes and their order, for several peers" {
	serve up dgram bind:127.0.0.1 echo-all >/dev/null
	up=$port
	serve haul haul listen -u -k -v --forward "127.0.0.1:$up" 127.0.0.1 0
	steps=()
	for size in ${SIZES//,/ }; do steps+=("send=$size" recv=1); done
	# Small ones can be many at a time: their order.
	steps+=("send=1,2,3,4,5,6,7,8,9" recv=9)
	for n in 1 2 3; do peer "$n" "${steps[@]}"; done
	await_all 1 2 3
	for n in 1 2 3; do
		head -n 14 "$n.said" | awk 'NR % 2' >sent
		head -n 14 "$n.said" | awk 'NR % 2 == 0' >got
		same got sent
		tail -n +15 "$n.said" | head -n 9 >sent
		tail -n 9 "$n.said" >got
		same got sent
	done
	[[ $(grep -c 'connection from' haul.err) == 3 ]]
	ends_by_term
}

@test "--forward: a session ends after the idle limit, in order" {
	serve up dgram bind:127.0.0.1 echo-all >/dev/null
	up=$port
	serve haul haul listen -u -k -v -w 300ms --forward "127.0.0.1:$up" \
		127.0.0.1 0
	await_calm haul
	before=$(ls "/proc/${PID[haul]}/fd")
	for n in 1 2 3 4 5; do
		peer "$n" "text=hello" recv=1
	done
	await_all 1 2 3 4 5
	for _ in {1..100}; do
		(($(grep -c 'has ended$' haul.err) < 5)) || break
		nap 0.02
	done
	[[ $(grep -c 'has ended$' haul.err) == 5 ]]
	await_calm haul
	[[ $(ls "/proc/${PID[haul]}/fd") == "$before" ]]
	ends_by_term
}

@test "--forward: an upstream that refuses is told, and the server goes on" {
	serve haul haul listen -u -k --forward 127.0.0.1:1 127.0.0.1 0
	peer 1 "text=hello" sleep=100 "text=again" sleep=100
	await_all 1
	await_text haul.err 'refused'
	runs haul
	ends_by_term
}

@test "--forward without -k: an upstream that refuses is told, not 0" {
	serve haul haul listen -u -w 3s --forward 127.0.0.1:1 127.0.0.1 0
	peer 1 "text=hello" sleep=100 "text=again"
	await_all 1
	await haul
	((status != 0))
	one_line haul.err
	has haul.err 'refused'
}

@test "COMMAND that ends with each request: every one is answered" {
	for words in 'head -c 3 >/dev/null; echo end' 'echo end; exit 3'; do
		serve haul haul listen -u -k -v -w 5s 127.0.0.1 0 -- \
			sh -c "$words"
		steps=()
		for n in {1..10}; do
			steps+=(await="ask$n" "text=abc$n" recv=1)
		done
		peer 1 "${steps[@]}"
		# What comes while the command is ending is still its own.
		begin=$(now_ms)
		for n in {1..10}; do
			touch "ask$n"
			ended "$n"
		done
		within $(($(now_ms) - begin)) 6000
		await_all 1
		[[ $(wc -l <1.said) == 10 ]]
		ends_by_term
		rm ask*
	done
}

@test "--broker: each datagram whole, to all the others, not back" {
	serve haul haul listen -u --broker -v 127.0.0.1 0
	peer 1 "text=1" recv=8
	await_text haul.err 'connection from'
	peer 2 "text=2" recv=7
	# 1 has heard "2": both are known.
	await_text 1.said '^1 '
	steps=()
	for size in ${SIZES//,/ }; do steps+=("send=$size" sleep=30); done
	peer 3 "${steps[@]}"
	await_all 1 2 3
	tail -n 7 1.said >got
	same got 3.said
	tail -n 7 2.said >got
	same got 3.said
	ends_by_term
}

@test "plain: what they send is on stdout, stdin is for all" {
	hold in
	serve haul haul listen -u -k -v 127.0.0.1 0 <in >out
	for n in 1 2 3; do
		peer "$n" "text=$n\\n" recv=1 silent=150
		await_text out "^$n\$"
	done
	echo hello >&"$W"
	await_all 1 2 3
	printf 'hello\n' | sha256sum >want
	want=$(<want)
	for n in 1 2 3; do
		[[ $(tail -n 1 "$n.said") == "6 ${want%% *}" ]]
	done
	ends_by_term
}

@test "plain: all sizes arrive whole, one after the other" {
	serve haul haul listen -u -k 127.0.0.1 0 </dev/null >out
	peer 1 send=1 sleep=20 send=1472 sleep=20 send=8193 sleep=20 \
		send=16385 sleep=20 send=0 send=60000 sleep=50 send=65507
	await_all 1
	await_size out $((1 + 1472 + 8193 + 16385 + 60000 + 65507))
	offset=0
	while read -r size sum; do
		want=$(slice out "$offset" "$size" | sha256sum)
		[[ ${want%% *} == "$sum" ]]
		offset=$((offset + size))
	done <1.said
	ends_by_term
}

@test "a file on stdin is for every peer from its start" {
	data 150000 file
	serve haul haul listen -u -k 127.0.0.1 0 <file >out
	for n in 1 2; do
		peer "$n" "text=$n\\n" recv=3
		await_all "$n"
		offset=0
		while read -r size sum; do
			want=$(slice file "$offset" "$size" | sha256sum)
			[[ ${want%% *} == "$sum" ]]
			offset=$((offset + size))
		done <"$n.said"
		[[ $offset == 150000 ]]
	done
	ends_by_term
}

@test "a peer that has gone does not end the server" {
	hold in
	serve haul haul listen -u -k -v 127.0.0.1 0 <in >out
	peer 1 "text=1\\n"
	await_all 1
	await_text out 1
	for _ in 1 2 3; do
		echo refused >&"$W"
		nap 0.05
	done
	peer 2 "text=2\\n" recv=1
	await_text out 2
	echo hello >&"$W"
	await_all 2
	ends_by_term
}

@test "--max-clients: datagrams of others are dropped until one leaves" {
	serve up dgram bind:127.0.0.1 echo-all >/dev/null
	up=$port
	for service in "--shell cat" "--forward 127.0.0.1:$up"; do
		# shellcheck disable=SC2086
		serve haul haul listen -u -k -v -w 1500ms --max-clients 1 \
			$service 127.0.0.1 0
		rm -f here answered
		peer 2 touch=here await=answered "text=2" silent=150
		await_file here
		peer 1 "text=1" recv=1 touch=answered
		await_all 1 2
		[[ $(grep -c 'connection from' haul.err) == 1 ]]
		await_text haul.err 'has ended'
		peer 3 "text=3" recv=1
		await_all 3
		ends_by_term
	done
}

@test "--count: ends with 0 after so many sessions" {
	serve haul haul listen -u -w 300ms --count 3 127.0.0.1 0 -- cat
	for n in 1 2 3; do peer "$n" send=2000 recv=1; done
	await_all 1 2 3 haul
	for n in 1 2 3; do
		[[ $(uniq "$n.said" | wc -l) == 1 ]]
	done
}

@test "100 peers at once" {
	serve up dgram bind:127.0.0.1 echo-all >/dev/null
	up=$port
	serve haul haul listen -u -k -v --forward "127.0.0.1:$up" 127.0.0.1 0
	cat >many.py <<-'EOF'
		import socket, sys
		peers = []
		for n in range(100):
		    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		    s.connect(("127.0.0.1", int(sys.argv[1])))
		    s.settimeout(5)
		    peers.append(s)
		for turn in range(10):
		    for n, s in enumerate(peers):
		        s.send(b"%d in turn %d" % (n, turn) * 20)
		    for n, s in enumerate(peers):
		        assert s.recv(9999) == b"%d in turn %d" % (n, turn) * 20
	EOF
	python3 many.py "$port"
	[[ $(grep -c 'connection from' haul.err) == 100 ]]
	await_calm haul
	ends_by_term
}

@test "UNIX datagrams: sessions by name" {
	! portable || return 0
	serve haul haul listen -u -k --socket-mode 600 unix:sock -- cat
	[[ $(stat -c %a sock) == 600 ]]
	for n in 1 2; do
		start "$n" haul connect -u --linger 2s unix:sock \
			<<<"hello $n" >"$n.got"
	done
	await_all 1 2
	says 1.got 'hello 1'
	says 2.got 'hello 2'
	ends_by_term
	[[ ! -e sock ]]
}
