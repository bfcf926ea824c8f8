#!/usr/bin/env bats
# Neither direction ever waits for the other, whatever the descriptors are.
# runs: first
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load lib/common

roles=(listen connect)

@test "nobody reads stdout: the upload goes on (pipe, socket, terminal)" {
	data 3000001 in
	data 1000003 answer
	for kind in pipe socket tty; do
		for role in "${roles[@]}"; do
			rm -f uploaded
			WRAP=(guest kind "$kind" in in out out
				stall uploaded --)
			pair "$role" >said -- -o got flood=answer recv-eof \
				touch=uploaded join shut
			await_all peer haul
			says haul.err
			has said '^exit 0$' '^flags kept$'
			same got in
			same out answer
		done
	done
}

@test "nobody reads stdout, which is a FIFO: the upload goes on" {
	data 3000001 in
	data 1000003 answer
	mkfifo pipe
	for role in "${roles[@]}"; do
		rm -f uploaded
		start reader "$BASH" -c 'exec <pipe
			until [[ -e uploaded ]]; do sleep 0.02; done
			cat >out'
		pair "$role" <in >pipe -- -o got flood=answer recv-eof \
			touch=uploaded join shut
		await_all peer haul reader
		same got in
		same out answer
	done
}

@test "the peer reads nothing before it has sent everything" {
	data 5000001 in
	data 5000003 answer
	for role in "${roles[@]}"; do
		pair "$role" <in >out -- -o got sleep=100 send=answer shut recv-eof
		await_all haul peer
		same got in
		same out answer
		mkfifo pipe
		start feeder "$BASH" -c 'cat in >pipe'
		pair "$role" <pipe >out -- -o got sleep=100 send=answer shut \
			recv-eof
		await_all haul peer feeder
		rm pipe
		same got in
		same out answer
	done
}

@test "the peer never reads: all it sends still comes" {
	data 5000000 in
	data 5000003 answer
	for role in "${roles[@]}"; do
		rm -f arrived
		pair "$role" <in >out -- send=answer await=arrived reset
		await_size out 5000003
		touch arrived
		await haul
		is 7 haul.err
		same out answer
	done
}

@test "an echo and a slow reader of stdout" {
	data 2000003 in
	mkfifo pipe
	for role in "${roles[@]}"; do
		start reader /usr/bin/python3 -c '
import sys, time
with open("pipe", "rb", 0) as f, open("out", "wb") as out:
    while data := f.read(150001):
        out.write(data)
        time.sleep(0.005)'
		pair "$role" <in >pipe -- echo shut
		await_all haul peer reader
		same out in
	done
}

@test "both directions at once, on sockets as stdin and stdout" {
	data 3000001 in
	data 3000003 answer
	for role in "${roles[@]}"; do
		WRAP=(guest kind socket in in out out --)
		pair "$role" >said -- -o got flood=answer recv-eof join shut
		await_all peer haul
		same got in
		same out answer
	done
}
