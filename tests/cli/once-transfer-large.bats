#!/usr/bin/env bats
# Transfers beyond 2^32 bytes, and of many files.
# runs: first
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154
# quick: no

load lib/common
load lib/transfer

@test "a file of more than 4 GiB, most of it a hole" {
	# In memory: how fast a disk reads holes does not matter.
	LIMIT=100 in_space '
		. "$LIB/transfer.bash"
		mkdir tmp
		mount -t tmpfs none tmp
		cd tmp
		data 300000 in
		cp in large
		truncate -s 4400000000 large
		cat in >>large
		for HAUL_MODE in --blocking --nonblocking; do
			mkdir D
			receiver -D D
			through -n 1
			sender large
			finish 60
			are 0 0
			[[ $(stat -c %s D/large) == 4400300000 ]]
			portable || (($(stat -c %b D/large) < 20000))
			same <(head -c 1000000 D/large) <(head -c 1000000 large)
			same <(tail -c 1000000 D/large) <(tail -c 1000000 large)
			summary send.err "1 file" 4400300000
			summary recv.err "1 file" 4400300000
			counts 1
			# Its hole is not sent.
			portable || ((up[0] < 10000000))
			unset via
			# A hole in the partial file is as good as zeros.
			mv D/large D/.large.haul-part
			truncate -s 4300000000 D/.large.haul-part
			transfer -D D -- large
			are 0 0
			same <(tail -c 1000000 D/large) <(tail -c 1000000 large)
			(($(already recv.err) > 4200000000))
			rm -r D
		done
		has recv.err "xxh3-128 $(digest large)"'
}

@test "a stream of more than 4 GiB" {
	serve recv haul receive 127.0.0.1 0 > >(tail -c 5 >got)
	sender < <(head -c 4294967296 /dev/zero; echo end)
	finish 60
	are 0 0
	summary send.err "1 (file|stream)" 4294967300
	summary recv.err "1 (file|stream)" 4294967300
	await_text got end
}

@test "10,000 files; both sides stay below 16 MiB" {
	# In memory: how fast a disk is does not matter.
	LIMIT=100 in_space '
		. "$LIB/transfer.bash"
		mkdir tmp
		mount -t tmpfs none tmp
		cd tmp
		mkdir D src
		/usr/bin/python3 -IS -c "
import os
for i in range(10000):
    if i % 100 == 0:
        os.mkdir(\"src/%d\" % (i // 100))
    with open(\"src/%d/%d\" % (i // 100, i), \"w\") as f:
        f.write(\"%01000d\" % i)
"
		for HAUL_MODE in --blocking --nonblocking; do
			rm -r D
			mkdir D
			receiver -D D
			through -n 1 -m mark -g go hold=down:150000
			sender src
			await_file mark 30
			# Near the end of it.
			sanitized || for side in send recv; do
				kb=$(sed -En "s/^VmHWM:\s*([0-9]+) kB/\1/p" \
					"/proc/${PID[$side]}/status")
				((kb < 16384)) || fail "$side: $kb KiB"
			done
			touch go
			finish 60
			are 0 0
			rm mark go
			unset via
			same_tree src D/src
			summary send.err "10000 files" 10000000
			summary recv.err "10000 files" 10000000
		done
		# And again: nothing is sent.
		receiver -D D
		through -n 1
		sender src
		finish 60
		are 0 0
		counts 1
		((up[0] < 2000000))
		[[ $(already recv.err) == 10000000 ]]
		# And cut in the middle.
		rm -r D
		mkdir D
		receiver -D D
		through -n 2 cut=up:4000000
		sender src
		finish 60
		are 7 7
		transfer -D D -- src
		are 0 0
		same_tree src D/src
		no_parts D
		counts 2
		((up[1] < 9000000))'
}

@test "default limits: a peer that does not greet, after ten seconds" {
	serve one stream listen:127.0.0.1 recv-any
	start send haul send 127.0.0.1 "$port" /etc/passwd
	nap 8
	runs send
	await send 6
	is 9 send.err
}
