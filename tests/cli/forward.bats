#!/usr/bin/env bats
# listen --forward: each client is joined to a connection of its own.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load lib/common

CROWD=$PEERS/crowd.py

# upstream KIND STEP...: what haul forwards to, which does these steps once; it
# is at $at.
upstream() {
	case $1 in
	tcp)
		serve up stream -o up.got listen:127.0.0.1 "${@:2}"
		at=127.0.0.1:$port
		;;
	unix)
		rm -f up.sock
		serve up stream -o up.got listen-unix:up.sock "${@:2}"
		at=unix:up.sock
		;;
	esac
}

# The same, which echoes to any number.
echo_server() {
	case $1 in
	tcp)
		serve up "$CROWD" 127.0.0.1:0 serve
		at=127.0.0.1:$port
		;;
	unix)
		rm -f up.sock
		serve up "$CROWD" unix:up.sock serve
		at=unix:up.sock
		;;
	esac
}

@test "half-closes are passed on, from the client first" {
	for kind in tcp unix; do
		upstream "$kind" recv-eof "text=answer\\n"
		serve haul haul listen -k --forward "$at" 127.0.0.1 0
		start client stream -o got "connect:127.0.0.1:$port" \
			"text=question\\n" shut recv-eof
		await_all client up
		says up.got question
		says got answer
		says haul.err
		ends_by_term
	done
}

@test "half-closes are passed on, from the upstream first" {
	for kind in tcp unix; do
		upstream "$kind" "text=greeting\\n" shut recv-eof
		serve haul haul listen -k --forward "$at" 127.0.0.1 0
		start client stream -o got "connect:127.0.0.1:$port" \
			recv-eof "text=thanks\\n"
		await_all client up
		says up.got thanks
		says got greeting
		says haul.err
		ends_by_term
	done
}

@test "without -k: one client, and its status" {
	upstream tcp recv-eof "text=answer\\n"
	serve haul haul listen --forward "$at" 127.0.0.1 0
	start client stream -o got "connect:127.0.0.1:$port" \
		"text=question\\n" shut recv-eof
	await_all client up haul
	says up.got question
	says got answer
	serve haul haul listen --forward 127.0.0.1:1 127.0.0.1 0
	start client stream "connect:127.0.0.1:$port" recv-reset
	await_all client
	await haul
	is 4 haul.err
	one_line haul.err
	has haul.err 'refused'
}

@test "100 MB each way at once, with digests" {
	data 100000000 down
	data 100000000 up
	for kind in tcp unix; do
		upstream "$kind" flood=down recv-eof join shut
		serve haul haul listen -k --forward "$at" 127.0.0.1 0
		start client stream -o got "connect:127.0.0.1:$port" \
			flood=up recv=100000000 join shut recv-eof
		await_all client up
		same up.got up
		same got down
		ends_by_term
		rm -f got up.got
	done
}

@test "an upstream that refuses: told, the client reset, the server goes on" {
	serve haul haul listen -k --forward 127.0.0.1:1 127.0.0.1 0
	start client stream "connect:127.0.0.1:$port" recv-reset
	await_all client
	await_text haul.err 'refused'
	has haul.err '127\.0\.0\.1 port [0-9]+: .*127\.0\.0\.1 port 1'
	start client stream "connect:127.0.0.1:$port" recv-reset
	await_all client
	runs haul
	ends_by_term
	serve haul haul listen -k --forward unix:nosuch 127.0.0.1 0
	start client stream "connect:127.0.0.1:$port" recv-reset
	await_all client
	await_text haul.err 'unix:nosuch'
	ends_by_term
}

@test "a wrong --forward is told before anything listens" {
	for where in 1.2.3.4 80 '' unix: :80:; do
		try haul listen --port-file told --accept-timeout 1ms \
			--forward "$where" 127.0.0.1 0
		is 2 || fail "--forward '$where'"
		one_line err
		[[ ! -e told ]] || fail "--forward '$where'"
	done
}

@test "a reset of the client reaches the upstream" {
	upstream tcp recv=6 touch=passed recv-reset
	serve haul haul listen -k --forward "$at" 127.0.0.1 0
	start client stream "connect:127.0.0.1:$port" "text=hello\\n" \
		await=passed reset
	await_all client up
	has haul.err 'reset'
	runs haul
	ends_by_term
}

@test "a reset of the upstream reaches the client, after the data" {
	data 300000 in
	upstream tcp send=in await=read reset
	serve haul haul listen -k --forward "$at" 127.0.0.1 0
	start client stream -o got "connect:127.0.0.1:$port" recv=300000 \
		touch=read recv-reset
	await_all up client
	same got in
	await_text haul.err 'reset'
	runs haul
	ends_by_term
}

@test "the upstream is killed, haul is killed: both ends see a reset" {
	upstream tcp recv=6 touch=passed recv-reset
	serve haul haul listen -k --forward "$at" 127.0.0.1 0
	start client stream "connect:127.0.0.1:$port" "text=hello\\n" \
		recv-reset
	await_file passed
	kill -KILL "${PID[haul]}"
	await_all client up
}

@test "many clients at once, with digests" {
	for kind in tcp unix; do
		echo_server "$kind"
		serve haul haul listen -k --forward "$at" 127.0.0.1 0
		"$CROWD" "127.0.0.1:$port" echo 200 102400
		"$CROWD" -b 4096 "127.0.0.1:$port" echo 20 200000
		says haul.err
		ends_by_term
		kill "${PID[up]}"
		await up
	done
}

@test "from UNIX to TCP, in waves, and with copying" {
	echo_server tcp
	for copy in "" 1; do
		rm -f sock
		HAUL_NO_ZEROCOPY=$copy serve haul haul listen -k \
			--forward "$at" unix:sock
		"$CROWD" -c 50 unix:sock echo 500 20000
		says haul.err
		ends_by_term
		[[ ! -e sock ]]
	done
}

@test "a stalled, a slow and a resetting client do not delay another" {
	data 20000000 in
	echo_server tcp
	serve haul haul listen -k -v --forward "$at" 127.0.0.1 0
	for n in 1 2 3; do
		start "stall$n" stream -b 4096 "connect:127.0.0.1:$port" \
			flood=in sleep=60000
		start "slow$n" stream -b 4096 "connect:127.0.0.1:$port" \
			flood=in slow=1000/10
		start "reset$n" stream "connect:127.0.0.1:$port" \
			"text=hello\\n" recv=6 reset
	done
	begin=$(now_ms)
	"$CROWD" "127.0.0.1:$port" echo 50 102400
	within $(($(now_ms) - begin)) 4000
	await_all reset1 reset2 reset3
	runs stall1
	runs slow1
	await_calm up
	ends_by_term
}

@test "--connect-timeout: an upstream that does not answer" {
	in_space '
		echo "table ip t { chain c { type filter hook output priority 0
			ip daddr 127.9.9.9 drop; }; }" | nft -f -
		serve haul haul listen -k --connect-timeout 400ms \
			--forward 127.9.9.9:80 127.0.0.1 0
		begin=$(now_ms)
		start client stream "connect:127.0.0.1:$port" recv-reset
		await_all client
		took=$(($(now_ms) - begin))
		at_least "$took" 380
		within "$took" 1500
		await_text haul.err "not connected within --connect-timeout"
		runs haul
		kill "${PID[haul]}"
		await haul
	'
}

@test "--idle-timeout, --max-clients and --count" {
	echo_server tcp
	serve haul haul listen -k -w 1s --forward "$at" 127.0.0.1 0
	begin=$(now_ms)
	start client stream "connect:127.0.0.1:$port" "text=hello\\n" \
		recv=6 recv-reset
	await_all client
	at_least $(($(now_ms) - begin)) 980
	within $(($(now_ms) - begin)) 2500
	await_text haul.err 'idle-timeout'
	ends_by_term
	serve haul haul listen --max-clients 3 --count 30 --forward "$at" \
		127.0.0.1 0
	"$CROWD" "127.0.0.1:$port" echo 30 50000
	await_all haul
}

@test "an idle connection uses no CPU time, an ended one leaves nothing" {
	echo_server tcp
	serve haul haul listen -k --forward "$at" 127.0.0.1 0
	await_calm haul
	before=$(ls "/proc/${PID[haul]}/fd")
	for n in 1 2 3 4 5; do
		start "c$n" stream "connect:127.0.0.1:$port" "text=hello\\n" \
			recv=6 touch="there$n" await=go
		await_file "there$n"
	done
	await_calm haul
	stays_calm haul 1
	touch go
	await_all c1 c2 c3 c4 c5
	"$CROWD" "127.0.0.1:$port" echo 100 50000
	await_calm haul
	[[ $(ls "/proc/${PID[haul]}/fd") == "$before" ]]
	ends_by_term
}

@test "through a chain of two" {
	echo_server tcp
	serve second haul listen -k --forward "$at" unix:second
	serve haul haul listen -k --forward unix:second 127.0.0.1 0
	"$CROWD" "127.0.0.1:$port" echo 100 102400
	ends_by_term
}
