#!/usr/bin/env bats
# Connecting where the network is bad: addresses that never answer, name servers
# that never answer, and addresses of our own to connect from.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load lib/common

# Commands for in_space: v0 has 192.0.2.1 and 2001:db8::1, and the neighbours
# 192.0.2.9 and 2001:db8::9 take all packets and never answer.
world='
	ip link add v0 type veth peer name v1
	ip link set v0 up
	ip link set v1 up
	ip addr add 192.0.2.1/24 dev v0
	ip addr add 2001:db8::1/64 dev v0 nodad
	ip neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev v0 nud permanent
	ip neigh add 2001:db8::9 lladdr 02:00:00:00:00:09 dev v0 nud permanent
	cat >hosts <<-END
		2001:db8::9 dead6
		192.0.2.9 dead4
		2001:db8::9 mixed64
		127.0.0.1 mixed64
		192.0.2.9 mixed46
		::1 mixed46
		192.0.2.9 mixed44
		127.0.0.1 mixed44
		2001:db8::9 dead
		192.0.2.9 dead
	END
	mount --bind hosts /etc/hosts
'

@test "a first address that never answers costs a quarter of a second" {
	in_space "$world"'
		for name in mixed64 mixed46 mixed44; do
			case $name in
			mixed46) at=::1 ;;
			*) at=127.0.0.1 ;;
			esac
			for sub in connect "send --raw"; do
				serve listener haul receive --raw "$at" 4000 >got
				try haul $sub "$name" 4000 <<<hello
				is 0
				says err
				within "$took" 1000
				await_all listener
				says got hello
			done
		done
	'
}

@test "the last but one of a hundred addresses is the one that listens" {
	in_space "$world"'
		for i in {1..100}; do
			echo "127.0.1.$i hundred"
		done >>hosts
		data 100000 in
		for sub in connect "send --raw"; do
			serve listener haul receive --raw 127.0.1.99 4000 >got
			try haul $sub hundred 4000 <in
			is 0
			says err
			await_all listener
			same got in
		done
	'
}

@test "no descriptors left: status 1" {
	# The search for leaks at the exit needs descriptors of its own.
	export ASAN_OPTIONS=${ASAN_OPTIONS-}:detect_leaks=0
	# Just enough for what signals make readable: one, or both ends of a pipe.
	local limit=4
	! portable || limit=5
	for sub in connect "send --raw" "receive --raw -c"; do
		# shellcheck disable=SC2086
		expand haul $sub 127.0.0.1 1
		LIMIT=5 try "$BASH" -c 'exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
			ulimit -n "$1" && shift && exec "$@"' \
			- "$limit" "${CMD[@]}"
		is 1
		one_line err
		has err 'too many open files$'
	done
}

@test "tries that lost are closed" {
	in_space "$world"'
		mkfifo in
		exec {W}<>in
		for name in mixed64 mixed44; do
			serve listener stream listen:127.0.0.1 text=hello recv-any
			start haul haul connect "$name" "$port" <in >got
			await_text got hello
			readlink /proc/${PID[haul]}/fd/* >links
			[[ $(grep -c ^socket: links) == 1 ]]
			kill "${PID[haul]}"
			await haul
		done
	'
}

@test "--connect-timeout: nobody answers" {
	in_space "$world"'
		for name in dead4 dead6 dead; do
			try haul connect --connect-timeout 400ms "$name" 80
			is 6
			at_least "$took" 380
			within "$took" 1500
			has err "^haul connect: .*time"
		done
		for sub in send "receive -c"; do
			try haul $sub --connect-timeout 400ms dead 80
			is 6
			at_least "$took" 380
			within "$took" 1500
			has err "^haul ${sub% -c}: .*time"
		done
	'
}

@test "--timeout and a signal end connecting, too" {
	in_space "$world"'
		try haul connect --timeout 400ms dead4 80
		is 6
		at_least "$took" 380
		within "$took" 1500
		one_line err
		rm -f go
		start haul start send INT,go -- haul connect dead 80
		nap 0.3
		touch go
		await_all haul
		says haul.err "signal 2"
	'
}

@test "--connect-timeout bounds one try, --retry-for all of them" {
	in_space "$world"'
		try haul connect --connect-timeout 300ms --retry-for 1s dead4 80
		[[ $status == [46] ]]
		at_least "$took" 900
		within "$took" 2500
	'
}

@test "a dead name server does not outlive --connect-timeout" {
	in_space "$world"'
		echo "nameserver 192.0.2.9" >resolv
		mount --bind resolv /etc/resolv.conf
		for sub in connect send "listen --timeout 400ms"; do
			try haul $sub --connect-timeout 400ms name.invalid 80
			is 6
			at_least "$took" 380
			within "$took" 1500
			one_line err
		done
		try haul connect --timeout 400ms name.invalid 80
		is 6
		within "$took" 1500
		rm -f go
		start haul start send TERM,go -- haul connect name.invalid 80
		nap 0.3
		touch go
		await_all haul
		says haul.err "signal 15"
	'
}

@test "--retry-for: a name that appears later" {
	in_space "$world"'
		echo "hosts: files" >nsswitch
		mount --bind nsswitch /etc/nsswitch.conf
		serve listener haul receive --raw 127.0.0.1 4000 >got
		start haul haul send --raw --retry-for 15s later 4000 <<<hello
		nap 0.3
		runs haul
		echo "127.0.0.1 later" >>hosts
		await_all haul listener
		says got hello
		try haul connect --retry-for 500ms never.invalid 80
		is 3
		at_least "$took" 400
		within "$took" 2000
	'
}

@test "--source and --source-port" {
	in_space "$world"'
		for from in 127.0.0.7 192.0.2.1; do
			serve listener haul listen -v 0
			try haul connect -s "$from" -p 5001 192.0.2.1 "$port"
			is 0
			await_all listener
			has listener.err "connection from $from port 5001\$"
		done
		serve listener haul listen -v 127.0.0.1 0
		try haul connect --source 127.0.0.7 --source-port 5002 \
			127.0.0.1 "$port"
		is 0
		await_all listener
		has listener.err "connection from 127.0.0.7 port 5002\$"
		serve listener haul listen -v ::1 0
		try haul connect --source 2001:db8::1 ::1 "$port"
		is 0
		await_all listener
		has listener.err "connection from 2001:db8::1 port"
		# Datagrams, too.
		serve listener dgram bind:127.0.0.1 recv=1 from=127.0.0.7
		try haul send -u -s 127.0.0.7 127.0.0.1 "$port" <<<hello
		is 0
		await_all listener
	'
}

@test "a source of one family leaves the other out" {
	in_space "$world"'
		echo "::1 both" >>hosts
		echo "127.0.0.1 both" >>hosts
		serve listener haul listen 127.0.0.1 4000
		try haul connect -s 127.0.0.7 both 4000
		is 0
		await_all listener
	'
}

@test "a source that cannot be bound is a failed connect" {
	in_space "$world"'
		serve listener haul listen 127.0.0.1 0
		for sub in connect send; do
			try haul "$sub" -s 192.0.2.77 127.0.0.1 "$port"
			is 4
			one_line err
			has err "cannot assign requested address\$"
		done
		serve other haul listen 127.0.0.1 5003
		try haul connect -s 127.0.0.1 -p 5003 127.0.0.1 "$port"
		is 4
		one_line err
		has err "address already in use\$"
		for p in 99999 -1 x; do
			try haul connect -p "$p" 127.0.0.1 1
			is 2
			one_line err
		done
	'
}

@test "unreachable networks" {
	in_space '
		try haul connect 198.51.100.1 80
		is 4
		says err "haul connect: 198.51.100.1 port 80: network is unreachable"
		try haul connect 2001:db8:1::1 80
		is 4
		says err "haul connect: 2001:db8:1::1 port 80: network is unreachable"
		try haul send -u 198.51.100.1 80 <<<hello
		is 4
		one_line err
		LIMIT=10 try haul connect --retry-for 400ms 198.51.100.1 80
		is 4
		at_least "$took" 300
		within "$took" 2000
	'
}

@test "a peer that vanishes is noticed by --idle-timeout" {
	in_space "$world"'
		data 3000000 in
		serve peer stream listen:192.0.2.1 recv=1000 touch=there sleep=9000
		start haul haul send --raw -w 500ms 192.0.2.1 "$port" <in
		await_file there
		# From here on nothing passes any more.
		ip link set lo down
		await haul 5
		is 6 haul.err
		one_line haul.err
	'
}
