#!/usr/bin/env bats
# What scripts rely on: readiness, exit status, time limits.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154
# quick: no

load lib/common

roles=(listen connect)

@test "--port-file: the port and a newline, all at once" {
	echo old >p
	start haul haul listen --port-file p 127.0.0.1 0
	until ! grep -qx old p; do
		runs haul
		nap
	done
	[[ $(wc -l <p) == 1 ]]
	port=$(<p)
	[[ $port =~ ^[1-9][0-9]*$ ]]
	# Nothing is left of the temporary name.
	[[ $(echo *) == "haul.err p" ]]
	try haul connect 127.0.0.1 "$port"
	is 0
	await_all haul
}

@test "--port-file that cannot be written" {
	mkdir dir
	for file in nosuch/p dir; do
		LIMIT=5 try haul listen --port-file "$file" 127.0.0.1 0
		is 1
		one_line err
		has err "$file"
	done
	[[ -d dir && $(echo *) == "dir err out" ]]
}

@test "--ready-fd: HOST PORT, and then it is closed" {
	need_ipv6
	mkfifo ready
	for at in "127.0.0.1 0" "::1 0" "-4 0" "0"; do
		start reader cat ready >said
		exec {fd}>ready
		# shellcheck disable=SC2086
		start haul haul listen --ready-fd "$fd" --port-file p $at
		exec {fd}>&-
		# The reader comes to its end although haul goes on.
		await reader
		runs haul
		await_file p
		case $at in
		"0") host=:: ;;
		"-4 0") host=0.0.0.0 ;;
		*) host=${at% 0} ;;
		esac
		says said "$host $(<p)"
		kill "${PID[haul]}"
		await haul
		rm p
	done
}

@test "--ready-fd for all subcommands that listen" {
	exec {fd}>ready
	for sub in listen "send -l" receive "receive -u" "listen -u"; do
		: >ready
		# shellcheck disable=SC2086
		start haul haul $sub --ready-fd "$fd" --port-file p 127.0.0.1 0
		await_file p
		await_text ready "^127.0.0.1 $(<p)\$"
		rm p
		kill "${PID[haul]}"
		await haul
	done
}

@test "--ready-fd: descriptors that are not there, or none" {
	for n in 77 -1 x 99999999999 ''; do
		try haul listen --ready-fd "$n" 127.0.0.1 0
		is 2
		one_line err
	done
}

@test "-v tells what goes on, -q and nothing do not" {
	for option in -v -q --quiet --verbose ""; do
		# shellcheck disable=SC2086
		serve listener haul listen $option 127.0.0.1 0 <<<answer
		# shellcheck disable=SC2086
		try haul connect $option 127.0.0.1 "$port" <<<hello
		is 0
		says out answer
		await_all listener
		case $option in
		-v | --verbose)
			has err "^haul connect: connected to 127.0.0.1 port $port\$" \
				'^haul connect: .*sent 6 bytes, received 7 bytes$'
			has listener.err \
				"^haul listen: listening on 127.0.0.1 $port\$" \
				'^haul listen: connection from 127.0.0.1 port [0-9]+$' \
				'^haul listen: .*sent 7 bytes, received 6 bytes$'
			;;
		*)
			says err
			says listener.err
			;;
		esac
	done
}

@test "port 0: the port is told, unless somebody else is told it" {
	start haul haul listen 127.0.0.1 0
	await_text haul.err '^haul listen: listening on 127.0.0.1 [1-9][0-9]*$'
	port=$(sed 's/.* //' haul.err)
	try haul connect 127.0.0.1 "$port"
	is 0
	await_all haul
	one_line haul.err
	try haul listen -q --accept-timeout 50ms 127.0.0.1 0
	one_line err
	has err accept-timeout
}

@test "-q still tells errors" {
	try haul connect -q 127.0.0.1 1
	is 4
	says err "haul connect: 127.0.0.1 port 1: connection refused"
}

@test "refused: status 4" {
	for sub in connect send "receive -c"; do
		# shellcheck disable=SC2086
		try haul $sub 127.0.0.1 1
		is 4
		says err "haul ${sub% *}: 127.0.0.1 port 1: connection refused"
		within "$took" 2000
	done
}

@test "a port that is taken: status 5" {
	serve first haul listen 127.0.0.1 0
	for sub in listen receive "send -l"; do
		# shellcheck disable=SC2086
		try haul $sub 127.0.0.1 "$port"
		is 5
		says err \
			"haul ${sub% *}: 127.0.0.1 port $port: address already in use"
	done
	serve first haul receive -u 127.0.0.1 0
	try haul receive -u 127.0.0.1 "$port"
	is 5
}

@test "an address that is not ours: status 5" {
	try haul listen 192.0.2.77 0
	is 5
	one_line err
	has err '^haul listen: 192.0.2.77 ' 'cannot assign requested address$'
}

@test "a port is free again at once, also after we closed first" {
	serve haul haul listen 127.0.0.1 0 </dev/null
	first=$port
	try haul connect --hold 127.0.0.1 "$first"
	is 0
	await_all haul
	serve haul haul listen 127.0.0.1 "$first"
	[[ $port == "$first" ]]
}

@test "--retry-for: a server that comes later" {
	# A port that was free a moment ago, of an address that no other test has.
	serve haul haul listen 127.0.0.7 0
	kill "${PID[haul]}"
	await haul
	for sub in connect "send --raw"; do
		# shellcheck disable=SC2086
		start client haul $sub --retry-for 15s 127.0.0.7 "$port" \
			<<<hello
		nap 0.4
		runs client
		serve haul haul receive --raw 127.0.0.7 "$port" >got
		await_all client haul
		says got hello
		says client.err
	done
}

@test "--retry-for: nobody comes" {
	try haul connect --retry-for 700ms 127.0.0.1 1
	is 4
	says err "haul connect: 127.0.0.1 port 1: connection refused"
	at_least "$took" 600
	within "$took" 2000
	try haul connect --retry-for 700ms unix:sock
	is 4
}

@test "--accept-timeout" {
	for sub in listen receive "send -l" "listen -u" "receive -u"; do
		# shellcheck disable=SC2086
		try haul $sub --accept-timeout 300ms --port-file p 127.0.0.1 0
		is 6
		at_least "$took" 290
		within "$took" 1500
		one_line err
		has err '[tT]ime'
	done
	# It is no limit on the session.
	pair listen --accept-timeout 2s >out -- sleep=2400 text=hello close
	await_all haul
	says out hello
}

@test "--accept-timeout: a datagram in time, and receive goes on" {
	serve haul haul receive -u --accept-timeout 500ms 127.0.0.1 0 >out
	echo one >"/dev/udp/127.0.0.1/$port"
	await_text out one
	nap 0.7
	runs haul
	echo two >"/dev/udp/127.0.0.1/$port"
	await_text out two
	says out one two
	says haul.err
}

@test "--connect-timeout is no limit on the session" {
	pair connect --connect-timeout 300ms >out -- sleep=700 text=hello close
	await_all haul
	says out hello
}

@test "-w, --idle-timeout: nothing moves" {
	hold held
	for role in listen connect send receive; do
		for option in -w --idle-timeout; do
			pair "$role" "$option" 400ms <held >out -- recv-reset
			keep "$role$option"
		done
	done
	begin=$(now_ms)
	for role in listen connect send receive; do
		for option in -w --idle-timeout; do
			await "$role$option"
			is 6 "$role$option.err"
			one_line "$role$option.err"
			has "$role$option.err" \
				'127.0.0.1 port [0-9]+: .*(idle|moved)'
			await_all "$role$option-peer"
		done
	done
	within $(($(now_ms) - begin)) 2500
}

@test "-w: movement in one direction is enough" {
	for role in "${roles[@]}"; do
		pair "$role" -w 1s </dev/null >out -- talk=100 sleep=1500 close
		keep "$role-down"
		mkfifo "$role.pipe"
		pipe=$role.pipe start "$role-feeder" "$BASH" -c 'exec >"$pipe"
			for i in 1 2 3 4 5 6; do echo "$i"; sleep 0.25; done'
		pair "$role" -w 1s <"$role.pipe" >out2 -- recv-eof
		keep "$role-up"
	done
	begin=$(now_ms)
	for role in "${roles[@]}"; do
		# The peer closes in order, so this is no failure.
		await_all "$role-down" "$role-up" "$role-up-peer"
	done
	at_least $(($(now_ms) - begin)) 1000
}

@test "-w: a peer that does not read, and a stdout that nobody reads" {
	data 8000000 in
	mkfifo stuck
	exec {stuck}<>stuck
	hold held
	for role in listen connect; do
		pair "$role" -w 400ms <in >out -- await=go recv-reset
		keep "$role-up"
		pair "$role" -w 400ms <held >stuck -- send-reset
		keep "$role-down"
	done
	for role in listen connect; do
		for name in "$role-up" "$role-down"; do
			await "$name" 5
			is 6 "$name.err"
			one_line "$name.err"
		done
	done
	touch go
	await_all {listen,connect}-{up,down}-peer
}

@test "-w: a slow peer that has not read everything yet is movement" {
	data 300000 in
	for role in listen connect send; do
		pair "$role" -w 500ms <in >out -- -b 8192 -o "$role-got" \
			slow=20000/100
		keep "$role"
	done
	for role in listen connect send; do
		await_all "$role" "$role-peer"
		same "$role-got" in
	done
}

@test "--timeout ends any run" {
	data 8000000 in
	mkfifo stuck
	exec {stuck}<>stuck
	hold held
	names=()
	for role in listen connect send receive; do
		case $role in
		send) kinds=(held in) ;;
		*) kinds=(held in stuck talk) ;;
		esac
		for kind in "${kinds[@]}"; do
			set -- "$role" --timeout 500ms
			case $kind in
			held) pair "$@" <held >out -- sleep=9000 ;;
			in) pair "$@" <in >out -- sleep=9000 ;;
			stuck) pair "$@" <held >stuck -- send-some sleep=9000 ;;
			talk) pair "$@" <held >out -- talk=50 sleep=9000 ;;
			esac
			keep "$role-$kind"
			names+=("$role-$kind")
		done
	done
	begin=$(now_ms)
	for name in "${names[@]}"; do
		await "$name" 5
		is 6 "$name.err"
		one_line "$name.err"
		has "$name.err" 'time'
	done
	within $(($(now_ms) - begin)) 3000
	try haul listen --timeout 300ms 127.0.0.1 0
	is 6
	try haul connect --timeout 300ms --retry-for 1m 127.0.0.1 1
	[[ $status == [46] ]]
	within "$took" 1500
}

@test "--timeout: the peer sees a reset" {
	hold held
	for role in listen connect send receive; do
		pair "$role" --timeout 2s <held >out -- recv-reset
		keep "$role"
	done
	for role in listen connect send receive; do
		await "$role"
		is 6 "$role.err"
		await_all "$role-peer"
	done
}

@test "durations have units" {
	for d in 200ms 0.2s 0.2; do
		try haul listen --accept-timeout "$d" 127.0.0.1 0
		is 6
		at_least "$took" 190
		within "$took" 1500
	done
	try haul listen --accept-timeout 0.005m 127.0.0.1 0
	is 6
	at_least "$took" 290
	for d in 1x s -1 1e3 '' ' 1' '1 s' 1.s .5s 1..5s 99999999999999999999h; do
		try haul listen --accept-timeout "$d" 127.0.0.1 0
		is 2
		one_line err
	done
}

@test "READY=1 for a service manager" {
	for name in sock @abstract; do
		address=$PWD/sock
		socat=UNIX-RECVFROM:$PWD/sock
		if [[ $name == @* ]]; then
			address=@haul-test-$$-$RANDOM
			socat=ABSTRACT-RECVFROM:${address#@}
		fi
		start manager socat -u "$socat" STDOUT >said
		until grep -qF -- "$address" /proc/net/unix; do
			runs manager
			nap
		done
		export NOTIFY_SOCKET=$address
		serve haul haul listen 127.0.0.1 0
		await manager
		has said '^READY=1$'
		unset NOTIFY_SOCKET
		kill "${PID[haul]}"
		await haul
	done
	# One that is not there is no reason to fail.
	export NOTIFY_SOCKET=$PWD/nowhere
	serve haul haul listen 127.0.0.1 0
	runs haul
}

@test "--no-stdin and --receive-only do not touch stdin" {
	for option in -d --no-stdin --receive-only; do
		for role in "${roles[@]}"; do
			seq 1000 >in
			{
				pair "$role" "$option" >out -- text=hello shut \
					recv-eof
				await_all haul peer
				read -r line
			} <in
			[[ $line == 1 ]]
			says out hello
		done
	done
}

@test "--send-only: what the peer says is dropped" {
	data 300000 in
	for role in "${roles[@]}"; do
		pair "$role" --send-only <in >out -- -o got talk=5 recv-eof
		await_all haul peer
		says out
		same got in
	done
}

@test "--send-only: leaves once all is acknowledged" {
	data 300000 in
	for role in "${roles[@]}"; do
		rm -f never
		pair "$role" --send-only <in >out -- -o got recv-eof await=never
		await haul 5
		is 0 haul.err
		same got in
		touch never
	done
}

@test "send --raw: status 0 only after the peer has closed in order" {
	data 300000 in
	rm -f go
	pair send <in -- -o got recv-eof await=go
	await_size got 300000
	nap 0.3
	runs haul
	touch go
	await_all haul
	pair send <in -- -o got recv=300000 recv-eof reset
	await haul
	is 7 haul.err
	one_line haul.err
}

@test "--crlf: LF becomes CRLF, a CRLF stays" {
	mkfifo pipe
	for role in connect listen; do
		for option in -C --crlf; do
			start feeder "$BASH" -c 'exec >pipe
				printf "a\nb\r\nc\r"; sleep 0.1
				printf "\nd\n\n\re"; sleep 0.1; printf "\n"'
			pair "$role" "$option" <pipe >out -- -o got recv-eof
			await_all haul peer feeder
			printf 'a\r\nb\r\nc\r\nd\r\n\r\n\re\r\n' >want
			same got want
		done
	done
}

@test "--crlf in a large input" {
	seq 50000 >in
	sed 's/$/\r/' in >want
	pair connect -C <in >out -- -o got recv-eof
	await_all haul peer
	same got want
}

@test "send --raw -l and receive --raw -c swap who listens" {
	data 300000 in
	serve sender haul send --raw -l 127.0.0.1 0 in
	try haul receive --raw --connect 127.0.0.1 "$port"
	is 0
	same out in
	await_all sender
	serve sender haul send --raw --listen 127.0.0.1 0 - <in
	try haul receive --raw -c 127.0.0.1 "$port"
	is 0
	same out in
	await_all sender
}

@test "send --raw: a file that cannot be read is told before anything is sent" {
	echo data >file
	mkdir dir
	serve haul haul receive --raw 127.0.0.1 0 >out
	for bad in nosuch dir; do
		try haul send --raw 127.0.0.1 1 file "$bad"
		is 1
		one_line err
		has err "$bad: (no such file or directory|is a directory)\$"
	done
	says out
	runs haul
}

@test "send --raw: files of /proc, whose size is told as 0" {
	for file in /proc/version /proc/filesystems; do
		serve haul haul receive --raw 127.0.0.1 0 >got
		try haul send --raw 127.0.0.1 "$port" <"$file"
		is 0
		await_all haul
		[[ -s got && $(<got) == $(<"$file") ]]
	done
}

@test "listen: a second client is refused, not left waiting" {
	hold held
	pair listen <held >out -- text=hello recv-any
	await_text out hello
	try haul connect 127.0.0.1 "$port"
	is 4
}

@test "receive --raw: the sender is told only when everything is written" {
	data 300000 in
	mkfifo slow
	start reader "$BASH" -c 'exec <slow
		until [[ -e go ]]; do sleep 0.02; done
		cat >out'
	serve receiver haul receive --raw 127.0.0.1 0 >slow
	start sender haul send --raw 127.0.0.1 "$port" in
	nap 0.3
	runs sender
	touch go
	await_all sender receiver reader
	same out in
	# And a receiver that cannot write makes the sender fail.
	serve receiver haul receive --raw 127.0.0.1 0 >/dev/full
	try haul send --raw 127.0.0.1 "$port" in
	is 7
	one_line err
	await receiver
	is 1 receiver.err
}

@test "stdout carries payload only" {
	serve listener haul listen -v 127.0.0.1 0 <<<answer >got
	try haul connect -v 127.0.0.1 "$port" <<<question
	says out answer
	await_all listener
	says got question
	try haul connect -v 127.0.0.1 1
	says out
	try haul listen -v --accept-timeout 50ms 127.0.0.1 0
	says out
}
