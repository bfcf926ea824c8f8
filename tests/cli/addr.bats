#!/usr/bin/env bats
# The forms of an address, names, zones, and ports.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154
# quick: no

load lib/common

# A session with who listens at the first address, as haul takes it, through
# the second, where PORT stands for the port.
session() {
	local -a at to
	read -ra at <<<"$1"
	serve listener haul listen "${at[@]}" >got || return
	read -ra to <<<"${2//PORT/$port}"
	try haul connect "${to[@]}" <<<"through $2"
	is 0 || return
	await_all listener || return
	says got "through $2"
}

@test "the forms of an operand" {
	session "127.0.0.1 0" "127.0.0.1 PORT"
	session "127.0.0.1:0" "127.0.0.1:PORT"
	session "0" "127.0.0.1 PORT"
	session ":0" "127.0.0.1:PORT"
	session "localhost 0" "localhost PORT"
	session "localhost:0" "localhost:PORT"
	session "127.0.0.2 0" "127.0.0.2:PORT"
}

@test "the forms of an operand: IPv6" {
	need_ipv6
	session "::1 0" "::1 PORT"
	session "[::1]:0" "[::1]:PORT"
	session ":: 0" "::1 PORT"
	session "0" "[::1]:PORT"
	session "::1 0" "0:0:0:0:0:0:0:1 PORT"
}

@test "options between and behind the operands" {
	serve listener haul listen 127.0.0.1 -v 0 -4 >got
	try haul connect 127.0.0.1 -q "$port" --timeout 9s <<<hello
	is 0
	await_all listener
	says got hello
	try haul send -q -- 127.0.0.1 1
	is 4
}

@test "all addresses of the machine under one port number" {
	need_ipv6
	for at in 0 :0 "-4 0" "-6 0"; do
		# shellcheck disable=SC2086
		serve listener haul listen $at >got
		# Our own port, so that nobody else can have the other family.
		case $at in
		-4*) yes=127.0.0.1 no=::1 ;;
		*) yes=::1 no=127.0.0.1 ;;
		esac
		if [[ $at == -* ]]; then
			try haul connect "$no" "$port"
			is 4
			try haul connect "$yes" "$port" <<<hello
			is 0
			await_all listener
			continue
		fi
		try haul connect "$yes" "$port" <<<hello
		is 0
		await_all listener
		says got hello
		# shellcheck disable=SC2086
		serve listener haul listen $at >got
		try haul connect "$no" "$port" <<<hello
		is 0
		await_all listener
		says got hello
	done
	serve listener haul receive -u 0 >got
	try haul send -u ::1 "$port" <<<six
	is 0
	try haul send -u 127.0.0.1 "$port" <<<four
	is 0
	await_size got 9
	has got '^six$' '^four$'
}

@test "an IPv4 peer of a listener for both families is shown as IPv4" {
	serve listener haul listen -v 0
	try haul connect -v 127.0.0.1 "$port"
	is 0
	await_all listener
	has listener.err '^haul listen: connection from 127.0.0.1 port [0-9]+$'
	has err "^haul connect: connected to 127.0.0.1 port $port\$"
}

@test "ports that are none" {
	for p in 65536 99999 -1 4294967376 18446744073709551696 1x x1y 0x50 \
		+80 ' 80' '80 ' 8.0 '' nosuchservice http/tcp; do
		for sub in connect listen send receive; do
			try haul "$sub" -- 127.0.0.1 "$p"
			is 2
			one_line err
			has err '^haul [a-z]+: ' "\(see haul $sub --help\)\$"
		done
		try haul connect "127.0.0.1:$p"
		is 2
	done
}

@test "service names" {
	[[ -e /etc/services ]] || skip "no /etc/services (package netbase)"
	try haul connect 127.0.0.1 tcpmux
	is 4
	says err "haul connect: 127.0.0.1 port 1: connection refused"
	try haul connect 127.0.0.1:tcpmux
	is 4
}

@test "operands that are no address, or too few, or too many" {
	for address in "" ":" ":80" "host" "host:" "[::1" "[::1]" "[::1]:" \
		"[::1]80" "[127.0.0.1]:80" "[x]:80" "unix:" "unix:@" "vsock:" \
		"vsock:2" "vsock:x:80" "vsock:2:x" "vsock:4294967296:1" \
		"127.0.0.1"; do
		try haul connect "$address"
		is 2
		one_line err
		has err '\(see haul connect --help\)$'
	done
	try haul connect
	is 2
	try haul connect 127.0.0.1 80 81
	is 2
	one_line err
	try haul connect unix:sock 80
	is 2
	try haul connect "" 80
	is 2
	try haul listen 127.0.0.1 0 0
	is 2
	try haul receive 127.0.0.1 0 file
	is 2
}

@test "-4 and -6 against an address of the other family" {
	try haul connect -6 127.0.0.1 1
	[[ $status == [23] ]]
	one_line err
	try haul connect -4 ::1 1
	[[ $status == [23] ]]
	one_line err
}

@test "-n: no names" {
	try haul connect -n localhost 1
	is 3
	one_line err
	has err '^haul connect: localhost'
	try haul connect -n 127.0.0.1 tcpmux
	is 2
	try haul listen -n localhost 0
	is 3
	try haul connect -n 127.0.0.1 1
	is 4
}

@test "long operands and options" {
	for n in 255 256 1024 65536; do
		host=$(head -c "$n" /dev/zero | tr '\0' h)
		for sub in connect listen send receive; do
			LIMIT=10 try haul "$sub" -n "$host" 80
			[[ $status == [23] ]] || fail "$n: $status"
			one_line err
			(($(wc -c <err) < 600))
		done
		for address in "127.0.0.1 $host" "$host" "$host:80" "[$host]:80" \
			"unix:$host" "unix:@$host" "vsock:$host:1" \
			"--sockopt $host=1 ::1 1" "--sockopt ttl=$host ::1 1" \
			"--timeout $host ::1 1" "--$host ::1 1" "-s $host ::1 1"
		do
			# shellcheck disable=SC2086
			try haul connect $address
			[[ $status == [234] ]] || fail "$n: $status"
			one_line err
			(($(wc -c <err) < 600))
		done
	done
}

@test "control characters in operands do not reach the terminal" {
	for host in $'\e[31mred' $'a\nb' $'a\rb' $'\x7f'; do
		try haul connect -n "$host" 80
		[[ $status == [23] ]]
		one_line err
		if grep -q $'[\e\r\x7f]' err; then
			fail "a control character on stderr"
		fi
	done
}

@test "vsock: opening, and errors with a status" {
	if portable; then
		try haul connect vsock:1:1
		[[ $status == [24] ]]
		one_line err
		return
	fi
	try haul connect vsock:1:1
	is 4
	one_line err
	has err '^haul connect: vsock 1 port 1: '
	LIMIT=5 try haul listen --accept-timeout 200ms vsock:any:4711
	[[ $status == [56] ]]
	one_line err
}

@test "a name with two addresses, the first of them refused" {
	in_space '
		echo "::1 both" >hosts
		echo "127.0.0.1 both" >>hosts
		mount --bind hosts /etc/hosts
		for at in 127.0.0.1 ::1; do
			serve listener haul listen "$at" 4000 >got
			try haul connect both 4000 <<<hello
			is 0
			within "$took" 1000
			await_all listener
			says got hello
			serve listener haul receive --raw "$at" 4000 >got
			try haul send --raw both 4000 <<<hello
			is 0
			await_all listener
			says got hello
		done
		try haul connect both 4001
		is 4
		[[ $(wc -l <err) == 2 ]]
		has err "^haul connect: 127.0.0.1 port 4001: connection refused\$" \
			"^haul connect: ::1 port 4001: connection refused\$"
		# And -4, -6 leave one of them.
		try haul connect -4 both 4001
		says err "haul connect: 127.0.0.1 port 4001: connection refused"
		try haul connect -6 both 4001
		says err "haul connect: ::1 port 4001: connection refused"
	'
}

@test "names that are not there" {
	in_space '
		echo "127.0.0.1 here" >hosts
		mount --bind hosts /etc/hosts
		echo "hosts: files" >nsswitch
		mount --bind nsswitch /etc/nsswitch.conf
		for sub in connect send; do
			try haul "$sub" nowhere.invalid 80
			is 3
			one_line err
			has err "^haul $sub: nowhere.invalid"
		done
		try haul listen nowhere.invalid 80
		is 3
		try haul connect -s nowhere.invalid here 80
		is 3
		one_line err
	'
}

@test "interface zones" {
	in_space '
		ip link add v0 type veth peer name v1
		ip link set v0 up
		ip link set v1 up
		ip addr add fe80::77/64 dev v0 nodad
		serve listener haul listen -v fe80::77%v0 0 >got
		has listener.err "listening on fe80::77%v0 $port\$"
		try haul connect -v fe80::77%v0 "$port" <<<hello
		is 0
		has err "connected to fe80::77%v0 port $port\$"
		await_all listener
		says got hello
		serve listener haul listen "[fe80::77%v0]:0" >got
		try haul connect "[fe80::77%v0]:$port" <<<hello
		is 0
		await_all listener
		try haul connect fe80::77%nosuch 80
		[[ $status == [234] ]]
		one_line err
		has err "fe80::77%nosuch"
		if grep -qi "invalid argument" err; then false; fi
	'
}
