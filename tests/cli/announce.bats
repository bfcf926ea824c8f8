#!/usr/bin/env bats
# The PROXY protocol: announcing us, and being told of clients.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154
# quick: no

load lib/common
load lib/proxies

# seen_by VERSION REGEX: the server on $port says so of a client of ours.
seen_by() {
	printf 'GET / HTTP/1.0\r\n\r\n' >request
	try haul connect --proxy-protocol "$1" -s 127.0.0.7 127.0.0.1 \
		"$port" <request
	is 0
	says err
	has out "$2"
}

@test "haproxy sees us as we announce ourselves" {
	need haproxy
	up haproxy haproxy_accept
	for version in v1 v2; do
		seen_by "$version" \
			"^127\.0\.0\.7 [0-9]+ 127\.0\.0\.1 $port\$"
	done
}

@test "nginx sees us as we announce ourselves" {
	need nginx
	up nginx nginx_accept
	for version in v1 v2; do
		seen_by "$version" '^127\.0\.0\.7 [0-9]+$'
	done
}

@test "clients behind haproxy are called by what it announces" {
	need haproxy
	for option in send-proxy send-proxy-v2; do
		data 300000 in
		serve listener haul listen -v --accept-proxy-protocol \
			127.0.0.1 0 <in >got
		up haproxy haproxy_send "$option" "$port"
		try -r haul connect -s 127.0.0.7 127.0.0.1 "$port" <in >out
		is 0
		await_all listener
		has listener.err '127\.0\.0\.7 port [0-9]+'
		same got in
		same out in
	done
}

@test "a header is taken to its last byte and no further" {
	for line in 'TCP4 192.0.2.7 198.51.100.9 4321 80' \
		'TCP6 2001:db8::7 2001:db8::9 4321 80' 'UNKNOWN whatever'; do
		serve listener haul listen -v --accept-proxy-protocol \
			127.0.0.1 0 </dev/null >got
		serve_port=$port
		start peer stream "connect:127.0.0.1:$serve_port" \
			text="PROXY $line\\r\\nhello\\r\\n" shut recv-eof
		await_all peer listener
		says got $'hello\r'
		case $line in
		TCP4*) has listener.err '192\.0\.2\.7 port 4321' ;;
		TCP6*) has listener.err '2001:db8::7 port 4321' ;;
		*) has listener.err '127\.0\.0\.1 port [0-9]+' ;;
		esac
	done
}

@test "the command is told the announced ends" {
	serve listener haul listen --accept-proxy-protocol 127.0.0.1 0 -- \
		/bin/sh -c 'echo $HAUL_PEER_HOST $HAUL_PEER_PORT \
			$HAUL_LOCAL_HOST $TCPREMOTEIP $TCPREMOTEPORT'
	start peer stream -o heard "connect:127.0.0.1:$port" \
		text='PROXY TCP4 192.0.2.7 198.51.100.9 4321 80\r\n' recv-eof
	await_all peer listener
	says heard "192.0.2.7 4321 198.51.100.9 192.0.2.7 4321"
}

@test "no header, half a header: reported, and no client" {
	local text n=0
	serve listener haul listen --accept-proxy-protocol 127.0.0.1 0 \
		</dev/null >got
	for text in 'hello, world, how are you?' 'PROXY TCP4 1.2.3.4\r\nhello' \
		'PROXY TCP4 01.2.3.4 1.2.3.4 1 1\r\nhello' 'PROXY TCP4 1.2.'; do
		start peer stream "connect:127.0.0.1:$port" text="$text" shut \
			recv-any
		await peer
		n=$((n + 1))
	done
	start peer stream "connect:127.0.0.1:$port" \
		text='PROXY UNKNOWN\r\nhello\n' shut recv-eof
	await_all peer listener
	says got hello
	[[ $(wc -l <listener.err) == "$n" ]]
	[[ $(grep -Ec '^haul listen: 127\.0\.0\.1 port [0-9]+: no PROXY header' \
		listener.err) == "$n" ]]
}

@test "no header before a good client: told at once, and not the status" {
	for way in "" "--count 1" "--shell cat"; do
		# shellcheck disable=SC2086
		serve listener haul listen --accept-proxy-protocol $way \
			127.0.0.1 0 </dev/null >got
		start bad stream "connect:127.0.0.1:$port" \
			text='GET / HTTP/1.0\r\n\r\n' recv-reset
		await_all bad
		await_text listener.err 'no PROXY header'
		start good stream -o heard "connect:127.0.0.1:$port" \
			text='PROXY UNKNOWN\r\nhello\n' shut recv-eof
		await_all good listener
		[[ $way != --shell* ]] || mv heard got
		says got hello
		[[ $(wc -l <listener.err) == 1 ]]
	done
}

@test "--timeout, while a client says nothing" {
	for way in "" "-k" "--shell cat"; do
		# shellcheck disable=SC2086
		serve listener haul listen --accept-proxy-protocol $way \
			--timeout 2s 127.0.0.1 0 </dev/null >got
		start silent stream "connect:127.0.0.1:$port" recv-any
		begin=$(now_ms)
		await listener
		is 6 listener.err
		within $(($(now_ms) - begin)) 3500
		one_line listener.err
		has listener.err 'the run has taken its --timeout$'
		await_all silent
	done
}

@test "a client that says nothing is let go, and delays nobody" {
	serve listener haul listen -k --accept-proxy-protocol 127.0.0.1 0 \
		</dev/null >got
	start silent stream "connect:127.0.0.1:$port" text='PROXY ' recv-any
	start good stream "connect:127.0.0.1:$port" \
		text='PROXY UNKNOWN\r\nhello\n' shut recv-eof
	await good 3
	await_text got '^hello$'
	await silent 10
	has listener.err \
		'^haul listen: 127\.0\.0\.1 port [0-9]+: no PROXY header within'
}

@test "-k: a client without a header is reported, the others are served" {
	serve listener haul listen -k --count 2 --accept-proxy-protocol \
		127.0.0.1 0 </dev/null >got
	start bad stream "connect:127.0.0.1:$port" \
		text='GET / HTTP/1.0\r\n\r\n' recv-any
	await bad
	start good stream "connect:127.0.0.1:$port" \
		text='PROXY TCP4 192.0.2.7 198.51.100.9 4321 80\r\nhello\n' \
		shut recv-eof
	await_all good
	has listener.err 'no PROXY header'
	await_text got '^hello$'
	says got hello
}

@test "access lists look at the announced client" {
	serve listener haul listen -k --allow 192.0.2.0/24 \
		--accept-proxy-protocol 127.0.0.1 0 </dev/null >got
	start denied stream -o denied.heard "connect:127.0.0.1:$port" \
		text='PROXY TCP4 198.51.100.7 198.51.100.9 4321 80\r\nbad\n' \
		recv-any
	await denied
	start allowed stream "connect:127.0.0.1:$port" \
		text='PROXY TCP4 192.0.2.7 198.51.100.9 4321 80\r\ngood\n' \
		shut recv-eof
	await_all allowed
	await_text got '^good$'
	says got good
}
