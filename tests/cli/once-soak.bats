#!/usr/bin/env bats
# Thousands of clients at once in one haul, each with its digest. Non-blocking:
# the blocking mode has threads for a few thousand.
# runs: first
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154
# quick: no

load lib/common

HAUL_MODE=--nonblocking
CROWD=$PEERS/crowd.py

# many WANTED PER: as many clients as there are descriptors for, PER each in one
# process, and WANTED at most.
many() {
	local hard room
	hard=$(ulimit -Hn)
	[[ $hard != unlimited ]] || hard=1000000
	room=$(((hard - 100) / $2))
	count=$((room < $1 ? room : $1))
	((count >= 100)) || skip "$hard descriptors"
}

@test "UNIX: each sends and receives 100 KiB at once, all checked" {
	# A connection and a file of its own each.
	many 10000 2
	data 102400 file
	serve haul haul listen -k unix:sock <file > >(
		"$CROWD" tagged "$count" 102400 >checked 2>&1 3>&-
		echo "status $?" >>checked
	)
	LIMIT=60 try "$CROWD" unix:sock take "$count" 102400 file
	is 0
	runs haul
	echo "# $count clients in $took ms" >&3
	await_calm haul
	ends_by_term
	await_text checked '^status' 30
	says checked 'status 0'
}

@test "TCP: each sends 100 KiB and gets it back through --forward" {
	many 9900 2
	serve up "$CROWD" unix:up.sock serve
	HAUL_NO_ZEROCOPY=1 serve haul haul listen -k --forward unix:up.sock \
		127.0.0.1 0
	LIMIT=60 try "$CROWD" "127.0.0.1:$port" echo "$count" 102400
	is 0
	echo "# $count clients in $took ms" >&3
	says haul.err
	ends_by_term
}

@test "TCP: the same inside the kernel, in waves" {
	# Each direction that moves has a pipe.
	many 3000 6
	serve up "$CROWD" 127.0.0.1:0 serve
	serve haul haul listen -k --forward "127.0.0.1:$port" 127.0.0.1 0
	LIMIT=60 try "$CROWD" -c "$count" "127.0.0.1:$port" echo \
		$((3 * count)) 102400
	is 0
	echo "# waves of $count clients in $took ms" >&3
	says haul.err
	ends_by_term
}

@test "TCP: 10,000 stay connected while stdin speaks to all" {
	many 9900 1
	hold in
	serve haul haul listen -k 127.0.0.1 0 <in >out
	# Once it is heard it is there to hear.
	start good stream -o got "connect:127.0.0.1:$port" "text=good\n" \
		recv=4000 shut
	await_text out good
	start crowd "$CROWD" "127.0.0.1:$port" hold "$count" there until
	await_file there 30
	await_calm haul
	begin=$(now_ms)
	for n in {1..40}; do
		printf '%099d\n' "$n"
		nap 0.02
	done >&"$W"
	await_all good
	within $(($(now_ms) - begin)) 10000
	says haul.err
	touch until
	await_all crowd
	ends_by_term
}

@test "COMMAND: 300 at once, each with a process" {
	many 300 1
	serve haul haul listen -k 127.0.0.1 0 -- cat
	LIMIT=60 try "$CROWD" "127.0.0.1:$port" echo "$count" 102400
	is 0
	await_calm haul
	[[ ! $(pgrep -P "${PID[haul]}") ]]
	ends_by_term
}

@test "--broker: 300 hear each other" {
	serve haul haul listen --broker -v unix:sock
	start crowd "$CROWD" unix:sock meet 300 1000 all until
	await_file all.connected
	for _ in {1..500}; do
		(($(grep -c 'connection from' haul.err) < 300)) || break
		nap 0.02
	done
	touch all.go
	await_file all 30
	touch until
	await_all crowd
	[[ $(grep -c dropped haul.err) == 0 ]]
	ends_by_term
}

@test "slow, stalling, resetting, half-closing and honest ones, mixed" {
	data 3000000 in
	serve up "$CROWD" 127.0.0.1:0 serve
	serve haul haul listen -k --forward "127.0.0.1:$port" 127.0.0.1 0
	for n in {1..10}; do
		start "stall$n" stream -b 4096 "connect:127.0.0.1:$port" \
			flood=in sleep=100000
		start "slow$n" stream -b 4096 "connect:127.0.0.1:$port" \
			flood=in slow=2000/10
		start "half$n" stream "connect:127.0.0.1:$port" shut recv-eof
		start "reset$n" stream "connect:127.0.0.1:$port" flood=in \
			recv=100000 reset
	done
	for n in 1 2 3; do
		LIMIT=60 try "$CROWD" -c 500 "127.0.0.1:$port" echo 1000 102400
		is 0
	done
	for n in {1..10}; do
		await "half$n"
		is 0 "half$n.err"
		await "reset$n"
		runs "stall$n"
		runs "slow$n"
	done
	runs haul
	ends_by_term
}
