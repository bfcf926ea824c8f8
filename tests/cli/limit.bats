#!/usr/bin/env bats
# --limit and --line-delay: how fast, and how evenly.
# runs: first
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154
# quick: no

load lib/common

METER=$PEERS/meter.py
SIZE=3145728		# three seconds at 1 MiB/s
WINDOW=262144		# what 250 ms are good for

# evenly METER_SAID FILE MS: all of the file came, in that time (20 % more or
# less), and in no 250 ms much more than what is due: at most 1.3 times that where
# nothing else runs, and what a busy machine brings late counts as well.
evenly() {
	local bytes ms sum most want
	read -r bytes ms sum <"$1"
	most=$(sed -n 's/^most //p' "$1")
	want=$(sha256sum <"$2")
	[[ $sum == "${want%% *}" ]] || fail "not what was sent: $bytes bytes" ||
		return
	at_least "$ms" $(($3 * 7 / 10)) || return
	within "$ms" $(($3 * 16 / 10)) || return
	((most * 10 <= WINDOW * 25)) || fail "$most bytes in 250 ms"
}

@test "listen and connect, each way" {
	data "$SIZE" up
	data "$SIZE" down
	# Both directions at the same time.
	serve haul haul listen --limit 1M 127.0.0.1 0 <up \
		> >("$METER" >got.1 3>&-)
	start peer stream -o up.got "connect:127.0.0.1:$port" flood=down \
		recv-eof join shut
	serve sink stream -o up2.got listen:127.0.0.1 flood=down recv-eof \
		join shut
	begin=$(now_ms)
	start client haul connect --limit 1M 127.0.0.1 "$port" <up \
		> >("$METER" >got.2 3>&-)
	await_all haul peer client sink
	at_least $(($(now_ms) - begin)) 2400
	within $(($(now_ms) - begin)) 3900
	same up.got up
	same up2.got up
	await_text got.1 gap
	await_text got.2 gap
	evenly got.1 down 3000
	evenly got.2 down 3000
}

@test "what is sent comes evenly: listen, connect, send --raw, receive --raw" {
	data "$SIZE" in
	# haul is limited, and its peer at the other end is not.
	serve l haul listen --limit 1M --send-only 127.0.0.1 0 <in
	start lm "$BASH" -c '"$HAUL" connect -d 127.0.0.1 "$1" | "$0"' \
		"$METER" "$port" >l.got
	serve c haul listen -d 127.0.0.1 0 > >("$METER" >c.got 3>&-)
	start cs haul connect --limit 1M --send-only 127.0.0.1 "$port" <in
	serve s haul receive --raw 127.0.0.1 0 > >("$METER" >s.got 3>&-)
	start ss haul send --raw --limit 1M 127.0.0.1 "$port" <in
	serve r haul receive --raw --limit 1M 127.0.0.1 0 \
		> >("$METER" >r.got 3>&-)
	start rs haul send --raw 127.0.0.1 "$port" <in
	await_all l lm c cs s ss r rs
	for n in l c s r; do
		await_text "$n.got" gap
		evenly "$n.got" in 3000 || fail "$n:" "$(<"$n.got")"
	done
}

@test "transfers: send and receive" {
	data "$SIZE" in
	serve r1 haul receive 127.0.0.1 0 > >("$METER" >s.got 3>&-)
	start s1 haul send --limit 1M 127.0.0.1 "$port" <in
	serve r2 haul receive --limit 1M 127.0.0.1 0 > >("$METER" >r.got 3>&-)
	start s2 haul send 127.0.0.1 "$port" <in
	await_all r1 s1 r2 s2
	await_text s.got gap
	await_text r.got gap
	evenly s.got in 3000 || fail "send:" "$(<s.got)"
	evenly r.got in 3000 || fail "receive:" "$(<r.got)"
}

@test "with -k each client has the rate for itself; --forward and COMMAND" {
	data "$SIZE" in
	serve k haul listen -k --limit 1M 127.0.0.1 0 <in >out
	for n in 1 2; do
		start "k$n" "$BASH" -c \
			'"$HAUL" connect -d 127.0.0.1 "$1" | "$0"' \
			"$METER" "$port" >"k$n.got"
	done
	serve up "$PEERS/crowd.py" 127.0.0.1:0 serve
	serve f haul listen -k --limit 1M --forward "127.0.0.1:$port" \
		127.0.0.1 0
	start f1 "$BASH" -c '"$HAUL" connect 127.0.0.1 "$1" <in | "$0"' \
		"$METER" "$port" >f1.got
	serve c haul listen -k --limit 1M 127.0.0.1 0 -- cat in
	start c1 "$BASH" -c '"$HAUL" connect -d 127.0.0.1 "$1" | "$0"' \
		"$METER" "$port" >c1.got
	await_all k1 k2 f1 c1
	for n in k1 k2 f1 c1; do
		evenly "$n.got" in 3000 || fail "$n:" "$(<"$n.got")"
	done
}

@test "datagrams" {
	data "$SIZE" in
	split -b 1024 in part.
	serve sink "$METER" udp:127.0.0.1 >got
	start haul haul send -u --limit 1M 127.0.0.1 "$port" \
		< <(cat part.* | dd bs=1024 status=none)
	await_all haul sink
	read -r bytes ms sum <got
	want=$(sha256sum <in)
	[[ $sum == "${want%% *}" ]]
	at_least "$ms" 2400
	within "$ms" 3600
}

@test "small rates, and the first bytes do not wait" {
	data 2000 in
	serve haul haul listen --limit 1K 127.0.0.1 0 <in >out
	start peer stream -o got "connect:127.0.0.1:$port" recv-eof shut
	begin=$(now_ms)
	await_size got 1
	within $(($(now_ms) - begin)) 1200
	await_all haul peer
	took=$(($(now_ms) - begin))
	at_least "$took" 1500
	within "$took" 2600
	same got in
	try haul connect --limit 0 127.0.0.1 1
	[[ $status == 2 || $status == 4 ]]
	try haul connect --limit 1X 127.0.0.1 1
	is 2
}

@test "a limited connection that waits uses hardly any CPU time" {
	hold in
	head -c 10000000 /dev/zero >zeros
	serve haul haul listen --limit 100K 127.0.0.1 0 <zeros >out
	start peer stream "connect:127.0.0.1:$port" recv-eof
	before=$(cpu_ms haul)
	nap 2
	within $(($(cpu_ms haul) - before)) 60
	runs haul
}

@test "--line-delay: so long between two lines" {
	printf '%s\n' one two three four five >in
	for role in listen connect "listen -k"; do
		read -ra words <<<"$role"
		if [[ ${words[0]} == listen ]]; then
			serve haul haul "${words[@]}" --line-delay 200ms \
				127.0.0.1 0 <in >out
			start peer "$BASH" -c \
				'"$HAUL" connect -d 127.0.0.1 "$1" | "$0"' \
				"$METER" "$port" >got
			await_all peer
		else
			serve peer haul listen -d 127.0.0.1 0 \
				> >("$METER" >got 3>&-)
			start haul haul connect --line-delay 200ms --linger 1s \
				127.0.0.1 "$port" <in >out
			await_all peer haul
			await_text got gap
		fi
		read -r bytes ms sum <got
		want=$(sha256sum <in)
		[[ $sum == "${want%% *}" ]]
		at_least "$ms" 600
		within "$ms" 3000
		# Two other processes may each be late once.
		at_least "$(sed -n 's/^gap //p' got)" 20
		[[ ! ${PID[haul]-} ]] || kill "${PID[haul]}" 2>/dev/null || :
	done
}

@test "--line-delay: from a pipe to all clients; what comes meanwhile waits" {
	hold in
	serve haul haul listen -k -v --line-delay 150ms 127.0.0.1 0 <in >out
	for n in 1 2; do
		start "$n" "$BASH" -c \
			'"$HAUL" connect -d 127.0.0.1 "$1" | "$0"' \
			"$METER" "$port" >"$n.got"
	done
	connected 2
	printf '%s\n' one two three four five >&"$W"
	let_go
	await_all 1 2
	for n in 1 2; do
		read -r bytes ms sum <"$n.got"
		((bytes == 24))
		at_least "$ms" 300
	done
}
