#!/usr/bin/env bats
# --sockopt: what is set is in force on the connection, in both roles.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154
# quick: no

load lib/common

# What ss says of the sockets of haul that are in this state.
sockets() {
	ss -tunapmoi --tos | tr -d '\n' | sed 's/\(tcp\|udp\) /\n&/g' |
		grep "pid=${PID[haul]}," | grep -E " $1 "
}

# with OPTION REGEX: haul in both roles shows REGEX for its connection.
with() {
	for role in listen connect; do
		hold held
		pair "$role" --sockopt "$1" <held >out -- text=hello recv-eof
		await_size out 5
		sockets ESTAB >seen
		has seen "$2" || return
		let_go
		rm held out
		await_all haul peer
	done
}

@test "options are in force on the connection" {
	with keepalive=on 'timer:\(keepalive'
	portable || with congestion=reno ' reno '
	portable || with dscp=46 'tos:0xb8'
	# The kernel doubles it.
	with rcvbuf=20000 ',rb40000,'
	with sndbuf=30000 ',tb60000,'
}

@test "several options at once" {
	hold held
	set -- --sockopt keepalive=on --sockopt sndbuf=30000
	portable || set -- "$@" --sockopt keepidle=77
	pair connect "$@" <held >out -- text=hello recv-eof
	await_size out 5
	sockets ESTAB >seen
	has seen 'timer:\(keepalive' ',tb60000,'
	portable || has seen 'timer:\(keepalive,1min1[67]sec'
}

@test "options with datagrams, and with send and receive" {
	data 70000 in
	serve haul haul receive --raw --sockopt nodelay=on \
		--sockopt rcvbuf=10000 127.0.0.1 0 >got
	try haul send --raw --sockopt sndbuf=10000 --sockopt nodelay=off \
		127.0.0.1 "$port" <in
	is 0
	await_all haul
	same got in
	serve haul haul receive -u --sockopt rcvbuf=200000 127.0.0.1 0 >got
	try haul send -u --sockopt ttl=3 127.0.0.1 "$port" <<<hello
	is 0
	await_text got hello
}

@test "values that the kernel refuses: status 2" {
	texts=(ttl=256)
	portable || texts+=(congestion=nosuch interface=nosuch0)
	for text in "${texts[@]}"; do
		try haul connect --sockopt "$text" 127.0.0.1 1
		is 2
		one_line err
		has err "sockopt ${text%=*}"
		try haul listen --sockopt "$text" 127.0.0.1 0
		is 2
		one_line err
	done
}

@test "options that do not go with what the socket does: told, not ignored" {
	for args in "connect -u --sockopt linger=1" \
		"send -u --sockopt linger=1" "listen -u --sockopt linger=1" \
		"receive -u --sockopt linger=1" \
		"connect -u --sockopt join=239.1.2.3" \
		"send -u --sockopt join=239.1.2.3"; do
		portable && [[ $args == *join* ]] && continue
		# shellcheck disable=SC2086
		LIMIT=5 try haul $args 127.0.0.1 4000 <<<hello
		is 2
		says out
		one_line err
		has err 'sockopt (linger|join)'
	done
}

@test "options of TCP on a UNIX socket: told, not ignored" {
	try haul listen --sockopt nodelay=on unix:sock
	is 2
	one_line err
}

@test "reuseport shares a port, and only with it" {
	! portable || return 0
	serve one haul listen --sockopt reuseport=on 127.0.0.1 0
	first=$port
	serve two haul listen --sockopt reuseport=on 127.0.0.1 "$first"
	[[ $port == "$first" ]]
	try haul listen 127.0.0.1 "$first"
	is 5
}

@test "multicast" {
	! portable || return 0
	in_space '
		ip link add v0 type veth peer name v1
		ip link set v0 up
		ip link set v1 up
		ip addr add 192.0.2.1/24 dev v0
		ip route add 239.0.0.0/8 dev v0
		serve haul haul receive -u --sockopt join=239.1.2.3%v0 \
			0.0.0.0 0 >got
		try haul send -u --sockopt multicast-ttl=1 239.1.2.3 "$port" \
			<<<hello
		is 0
		await_text got hello
	'
}

@test "broadcast needs its option" {
	in_space '
		ip link add v0 type veth peer name v1
		ip link set v0 up
		ip link set v1 up
		ip addr add 192.0.2.1/24 brd 192.0.2.255 dev v0
		try haul send -u 192.0.2.255 4000 <<<hello
		is 4
		one_line err
		has err "permission denied\$"
		serve haul haul receive -u 192.0.2.255 0 >got
		try haul send -u --sockopt broadcast=on 192.0.2.255 "$port" \
			<<<hello
		is 0
		await_text got hello
	'
}
