#!/usr/bin/env bats
# connect --probe: which ports are open, in namespaces where all ports are ours.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load lib/common

# Commands for in_space. silent PORTS: what comes for them is dropped. said: the
# lines that a probe with -v would have for the ports of $1 in state $2.
world='
	silent() {
		nft add table inet t
		nft add chain inet t in "{ type filter hook input priority 0; }"
		nft add rule inet t in tcp dport "$1" drop
		nft add rule inet t in udp dport "$1" drop
	}
	said() {
		seq -f "127.0.0.1 %.0f $2" "${1%-*}" "${1#*-}"
	}
	probe() {
		try haul connect --probe "$@"
	}
	open() {
		for p; do
			# shellcheck disable=SC2209
			serve "p$p" haul listen -k 127.0.0.1 "$p" >/dev/null
		done
	}
'

@test "open and closed ports, in their order" {
	in_space "$world"'
		open 4003 4001 4010
		probe -n 127.0.0.1 4003,4001
		is 0
		says out "127.0.0.1 4001 open" "127.0.0.1 4003 open"
		says err
		probe -n 127.0.0.1 4009-4011,4000-4003,4001
		is 4
		says out "127.0.0.1 4001 open" "127.0.0.1 4003 open" \
			"127.0.0.1 4010 open"
		says err "haul connect: 127.0.0.1: 4 of 7 ports are not open:\
 4 closed"
		probe -n -v 127.0.0.1:4000-4003
		is 4
		says out "127.0.0.1 4000 closed" "127.0.0.1 4001 open" \
			"127.0.0.1 4002 closed" "127.0.0.1 4003 open"
		probe -q 127.0.0.1 4001
		is 0
		says err
		[[ -s out ]]
		# As without --probe.
		probe 127.0.0.1 4002
		is 4
		says out
		says err "haul connect: 127.0.0.1 port 4002: connection refused"
	'
}

@test "names of services, and where there are none" {
	in_space "$world"'
		printf "%s\n" "one 4001/tcp" "other-one 4002/tcp" \
			"udp-one 4003/udp" "alias-one 4001/tcp" >services
		mount --bind services /etc/services
		echo "services: files" >nsswitch
		mount --bind nsswitch /etc/nsswitch.conf
		open 4001 4002 4003
		probe 127.0.0.1 4003,one,other-one
		is 0
		says out "127.0.0.1 4001 open one" \
			"127.0.0.1 4002 open other-one" "127.0.0.1 4003 open"
		probe -n 127.0.0.1 4001
		says out "127.0.0.1 4001 open"
		probe -n 127.0.0.1 one
		is 2
		probe -uv 127.0.0.1 udp-one
		is 4
		says out "127.0.0.1 4003 closed udp-one"
	'
}

@test "services: read as the system reads them, from where it is told to" {
	in_space "$world"'
		{
			printf "%s\n" "# one 4000/tcp" "  spaces	4001/tcp x" \
				"first 4002/tcp" "second 4002/tcp" "4003/tcp" \
				"udp 4004/udp" "UPPER 4005/TCP" "tail 4006/tcp#x" \
				"hex 0xfa7/tcp" "slashes 4008//tcp" "none 4009" \
				"space 4010 /tcp" "word x4011/tcp" "" "empty" \
				"glued#4014/tcp" "four 4015/tcp4"
			printf "return 4012/tcp\r\n"
			# Longer than one read, and without an end.
			for i in {1..300}; do echo "n$i $((5000 + i))/tcp	n"; done
			printf "last 4999/tcp"
		} >services
		mount --bind services /etc/services
		lists() {
			printf "%s\n" "$@" >nsswitch
			umount /etc/nsswitch.conf 2>/dev/null || :
			mount --bind nsswitch /etc/nsswitch.conf
			for ports in 4000-4016,4999-5300 4001 4999 5300 4013; do
				probe -v 127.0.0.1 "$ports"
				cat out
			done >"$list"
		}
		# What else is named there has nothing to tell of services.
		list=system lists "services: compat files"
		has system "closed spaces\$"
		has system "4002 closed first\$"
		has system "4999 closed last\$"
		has system "5300 closed n300\$"
		for list in "files" "db files" " files	db # comment"; do
			list=ours lists "passwd: compat" "services:$list" "rpc: db"
			same ours system
		done
		list=ours lists "services: hesiod"
		for line in 4001 4999; do has ours "$line closed\$"; done
		list=ours lists "services: hesiod [UNAVAIL=return] files"
		has ours "4001 closed\$"
		printf "\n%05000d 4016/tcp\n" 1 >>services
		list=ours lists "services: files"
		has ours "4001 closed spaces\$"
	'
}

@test "a port that answers at once needs no more than its socket" {
	in_space "$world"'
		open 4001
		silent 4003
		# Three, one for signals, the lines, the socket, the services.
		ulimit -n 7
		probe 127.0.0.1 4001
		is 0
		says out "127.0.0.1 4001 open"
		probe 127.0.0.1 4002
		is 4
		says err "haul connect: 127.0.0.1 port 4002: connection refused"
		# One that has to be waited for may need more.
		probe --connect-timeout 100ms 127.0.0.1 4003
		one_line err
		if [[ $HAUL_MODE == --nonblocking ]]; then
			is 6
		else
			is 1
			has err "too many open files\$"
		fi
	'
}

@test "one port: the reader of the line has gone" {
	in_space "$world"'
		open 4000
		silent 4001
		for port in 4000 4001; do
			expand haul connect -z --connect-timeout 20s 127.0.0.1 $port
			began=$(now_ms)
			{
				sleep 0.2
				statuses=0
				"${CMD[@]}" 2>err || statuses=$?
				echo "$statuses" >status
			} | true
			within $(($(now_ms) - began)) 3000
			[[ $(<status) == 1 ]]
			says err
		done
	'
}

@test "the address that answers, and names" {
	in_space "$world"'
		ip addr add 192.0.2.7/32 dev lo
		printf "%s\n" "192.0.2.7 two" "127.0.0.1 two" >hosts
		mount --bind hosts /etc/hosts
		echo "hosts: files" >nsswitch
		mount --bind nsswitch /etc/nsswitch.conf
		open 4001
		serve second haul listen -k 192.0.2.7 4002 >/dev/null
		probe -nv 192.0.2.7 4001,4002
		is 4
		says out "192.0.2.7 4001 closed" "192.0.2.7 4002 open"
		try haul connect -z two 4001-4003
		is 4
		says out "127.0.0.1 4001 open" "192.0.2.7 4002 open"
		says err "haul connect: two: 1 of 3 ports are not open: 1 closed"
		try haul connect -z nobody 1-100
		is 3
		one_line err
		has err "nobody: "
	'
}

@test "what is no list of ports" {
	for ports in "" 0 65536 5-3 1,,2 ',1' a-b 1-2-3 ' 1' 0-5 99999999999; do
		try haul connect -z 127.0.0.1 "$ports"
		is 2
		one_line err
		says out
	done
	try haul connect -z 127.0.0.1
	is 2
	try haul connect -z 127.0.0.1 1 2
	is 2
	has err 'one operand too many: 2'
	try haul connect -z 127.0.0.1 "$(printf '9%.0s' {1..60000})"
	is 2
	one_line err
	for wrong in '--until-closed --expect x' '--until-closed --hold-for 1' \
		'-u --hold-for 1' '--also 127.0.0.1' '--also x:1-' \
		'--expect \q' '--also unix:x -4'; do
		# shellcheck disable=SC2086
		try haul connect -z $wrong 127.0.0.1 1
		is 2
		one_line err
	done
}

@test "UNIX sockets" {
	serve there haul listen -k "unix:$PWD/s" >/dev/null
	try haul connect -zv "unix:$PWD/s" --also "unix:$PWD/none"
	is 4
	says out "unix:$PWD/s open" "unix:$PWD/none closed"
	says err "haul connect: unix:$PWD/none: no such file or directory"
	try haul connect -z "unix:$PWD/s"
	is 0
	says out "unix:$PWD/s open"
}

@test "all 65,535 ports of the loopback address, no slower than nc" {
	LIMIT=90
	export SANITIZED=
	! grep -aqE "__(asan|tsan)_init" "$HAUL" || SANITIZED=y
	in_space "$world"'
		open 1 80 32000 65535
		said 1-65535 closed >wanted
		sed -i -E "s/^(127.0.0.1 (1|80|32000|65535)) closed/\1 open/" \
			wanted
		probe -nv 127.0.0.1 1-65535
		is 4
		same out wanted
		says err "haul connect: 127.0.0.1: 65531 of 65535 ports are not\
 open: 65531 closed"
		# The best of some, as others may use the machine as well. A
		# quarter is what a busy one may add; make bench is exact.
		best=99999 of_nc=99999
		for i in {1..8}; do
			probe 127.0.0.1 1-65535
			says out "127.0.0.1 1 open tcpmux" \
				"127.0.0.1 80 open http" "127.0.0.1 32000 open" \
				"127.0.0.1 65535 open"
			((took >= best)) || best=$took
			try nc.openbsd -z 127.0.0.1 1-65535
			((took >= of_nc)) || of_nc=$took
			((best > of_nc * 5 / 4)) && [[ ! $SANITIZED ]] || break
		done
		echo "haul $best ms, nc $of_nc ms" >&2
		[[ $SANITIZED ]] || within "$best" $((of_nc * 5 / 4))
	'
}

@test "a thousand ports that never answer cost one limit" {
	in_space "$world"'
		silent 4000-4999
		probe -nv --connect-timeout 1s 127.0.0.1 3999-5000
		is 4
		at_least "$took" 1000
		within "$took" 2000
		{ said 3999-3999 closed; said 4000-4999 no-answer
			said 5000-5000 closed; } >wanted
		same out wanted
		says err "haul connect: 127.0.0.1: 1002 of 1002 ports are not\
 open: 2 closed, 1000 did not answer"
		probe --connect-timeout 300ms 127.0.0.1 4000-4001
		is 6
		probe --connect-timeout 300ms 127.0.0.1 4000
		is 6
		says err "haul connect: 127.0.0.1 port 4000: not connected\
 within --connect-timeout (0.3 s)"
		probe -w 300ms 127.0.0.1 4000
		is 6
		within "$took" 1000
		has err "idle-timeout \(0.3 s\)\$"
		probe --timeout 300ms 127.0.0.1 4000-4100
		is 6
		within "$took" 1300
		one_line err
		has err "the run has taken its --timeout\$"
	'
}

@test "few descriptors: a few at a time" {
	in_space "$world"'
		open 4200
		silent 4000-4009
		ulimit -n 64
		probe -n --connect-timeout 300ms 127.0.0.1 4000-4300
		is 4
		says out "127.0.0.1 4200 open"
		one_line err
	'
}

@test "the soft limit of descriptors is raised, but not for a COMMAND" {
	in_space "$world"'
		open 4200
		silent 4000-4099
		ulimit -Sn 64
		probe -n --connect-timeout 1s 127.0.0.1 4000-4099
		is 6
		within "$took" 2000
		probe 127.0.0.1 4200 -- "$BASH" -c "ulimit -Sn"
		is 0
		says out 64
	'
}

@test "lines come as soon as their order allows" {
	in_space "$world"'
		open 4000 4001 4003
		silent 4002
		start haul haul connect -zn --connect-timeout 20s \
			127.0.0.1 4000-4003 >lines
		await_text lines "4001 open" 5
		says lines "127.0.0.1 4000 open" "127.0.0.1 4001 open"
		# 4003 is known, too.
		nap 0.2
		kill -TERM "${PID[haul]}"
		await haul 5
		is 143 haul.err
		says haul.err
		# What is known beyond the one that is not is told at the end.
		says lines "127.0.0.1 4000 open" "127.0.0.1 4001 open" \
			"127.0.0.1 4003 open"
	'
}

@test "the reader of the lines has gone, or they cannot be written" {
	in_space "$world"'
		open 4000
		silent 4001
		expand haul connect -zn --connect-timeout 20s 127.0.0.1 4000-4001
		began=$(now_ms)
		statuses=0
		"${CMD[@]}" 2>err | head -n 1 >lines || statuses=$?
		within $(($(now_ms) - began)) 3000
		[[ $statuses == 1 ]]
		says lines "127.0.0.1 4000 open"
		says err
		try -r haul connect -z 127.0.0.1 4000 >/dev/full
		is 1
		one_line err
	'
}

@test "datagrams: answered, refused, no answer" {
	in_space "$world"'
		serve echo dgram bind:127.0.0.1 echo-all
		silent 4001
		probe -u -n 127.0.0.1 "$port"
		is 0
		within "$took" 900
		says out "127.0.0.1 $port open"
		probe -u 127.0.0.1 4000
		is 4
		within "$took" 900
		has err "connection refused\$"
		probe -u 127.0.0.1 4001
		is 6
		at_least "$took" 1000
		within "$took" 2000
		has err "no answer within --connect-timeout \(1 s\)\$"
		probe -u -nv --connect-timeout 400ms 127.0.0.1 4000,4001
		is 4
		within "$took" 1300
		says out "127.0.0.1 4000 closed" "127.0.0.1 4001 no-answer"
		# Two datagrams, both empty.
		serve two dgram bind:127.0.0.1 recv=2 silent=100 >sizes
		probe -u --connect-timeout 300ms 127.0.0.1 "$port"
		is 6
		await_all two
		[[ $(cut -d " " -f 1 sizes) == $'\''0\n0'\'' ]]
	'
}

@test "--retry-for waits until all are there, then the COMMAND runs" {
	in_space "$world"'
		start haul haul connect -z --retry-for 20s 127.0.0.1 4001-4002 \
			--also 127.0.0.1:4003 --also "unix:$PWD/s" \
			-- "$BASH" -c "echo run \$0 \$1; cat; exit 5" a "b c" \
			<<<input >out
		open 4002
		serve path haul listen -k "unix:$PWD/s" >/dev/null
		open 4001
		runs haul
		says out
		open 4003
		await haul 5
		is 5 haul.err
		says out "run a b c" input
		says haul.err
	'
}

@test "--retry-for: what is there is told, the rest when time has passed" {
	in_space "$world"'
		open 4001
		probe -nv --retry-for 400ms 127.0.0.1 4000-4002 \
			--also 127.0.0.1:4003
		is 6
		at_least "$took" 400
		within "$took" 2000
		says out "127.0.0.1 4000 closed" "127.0.0.1 4001 open" \
			"127.0.0.1 4002 closed" "127.0.0.1 4003 closed"
		says err "haul connect: 127.0.0.1: 2 of 3 ports are not open\
 within --retry-for (0.4 s): 2 closed" "haul connect: 127.0.0.1 port 4003:\
 not open within --retry-for (0.4 s): connection refused"
		echo "hosts: files" >nsswitch
		mount --bind nsswitch /etc/nsswitch.conf
		cp /etc/hosts hosts
		mount --bind hosts /etc/hosts
		start haul haul connect -z --retry-for 10s later 4001 >out
		nap 0.2
		runs haul
		echo "127.0.0.1 later" >>hosts
		await_all haul
		has out "^127.0.0.1 4001 open"
	'
}

@test "--until-closed" {
	in_space "$world"'
		open 4001 4002
		probe -n --until-closed 127.0.0.1 4000
		is 0
		says out "127.0.0.1 4000 closed"
		probe --until-closed 127.0.0.1 4001
		is 4
		says err "haul connect: 127.0.0.1 port 4001: still open"
		probe --until-closed --retry-for 300ms 127.0.0.1 4001
		is 6
		start haul haul connect -z --until-closed --retry-for 20s \
			127.0.0.1 4001-4002 >out
		nap 0.2
		runs haul
		kill "${PID[p4001]}" "${PID[p4002]}"
		await_all haul
	'
}

@test "--hold-for and --expect" {
	in_space "$world"'
		serve talks stream listen:127.0.0.1 "text=220 he" sleep=50 \
			"text=llo\\n" recv-any
		probe --expect "220 hello\\n" 127.0.0.1 "$port"
		is 0
		await_all talks
		serve talks stream listen:127.0.0.1 "text=220 hello" recv-any
		probe --expect "221" --connect-timeout 300ms 127.0.0.1 "$port"
		is 6
		within "$took" 1300
		has err "has not sent what is expected within"
		await_all talks
		serve ends stream listen:127.0.0.1 close
		probe --expect hello 127.0.0.1 "$port"
		is 4
		await_all ends
		serve ends stream listen:127.0.0.1 close
		probe --hold-for 2s 127.0.0.1 "$port"
		is 4
		within "$took" 1500
		has err "closed the connection within --hold-for\$"
		await_all ends
		serve resets stream listen:127.0.0.1 reset
		probe --hold-for 2s 127.0.0.1 "$port"
		is 4
		within "$took" 1500
		await_all resets
		serve stays stream listen:127.0.0.1 text=hello recv-any
		probe --hold-for 300ms 127.0.0.1 "$port"
		is 0
		at_least "$took" 300
		within "$took" 1300
		await_all stays
		serve stays stream listen:127.0.0.1 "text=220 hello" recv-any
		probe --hold-for 200ms --expect hello 127.0.0.1 "$port"
		is 0
		await_all stays
	'
}

@test "an open port sees an end in order, not a reset" {
	serve peer stream listen:127.0.0.1 recv-eof
	try haul connect -z 127.0.0.1 "$port"
	is 0
	await_all peer
}

@test "a COMMAND: only when all are open, 126 and 127, default signals" {
	in_space "$world"'
		open 4001
		probe 127.0.0.1 4000-4001 -- echo run
		is 4
		says out
		probe 127.0.0.1 4001 -- /nonexistent
		is 127
		one_line err
		probe 127.0.0.1 4001 -- "$PWD"
		is 126
		one_line err
		# What haul has changed for itself: nothing is blocked, and neither
		# SIGPIPE nor SIGXFSZ ignored.
		probe 127.0.0.1 4001 -- sed -n "s/^Sig\(Blk\|Ign\):.*\(.\{8\}\)\$/\2/p" \
			/proc/self/status
		is 0
		{ read -r blocked; read -r ignored; } <out
		((0x$blocked == 0 && (0x$ignored & 0x1001000) == 0))
		probe -v 127.0.0.1 4001 -- echo run
		is 0
		says out run
		has err "127.0.0.1 4001 open"
	'
}

@test "a signal ends a probe" {
	in_space "$world"'
		silent 4000-4999
		for sig in INT TERM HUP; do
			rm -f go
			start haul start send "$sig,go" -- haul connect -z \
				127.0.0.1 4000-4999 >out
			nap 0.3
			touch go
			await haul 3
			is 0 haul.err
			says haul.err "signal $(kill -l "$sig")"
		done
	'
}
