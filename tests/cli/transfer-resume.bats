#!/usr/bin/env bats
# Transfers that break, and what the next one makes of them.
# runs: first
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load lib/common
load lib/transfer

# measure FILE...: the bytes of a whole transfer, in total_up and total_down.
measure() {
	mkdir whole
	receiver -D whole
	through -n 1
	sender "$@"
	finish
	are 0 0
	counts 1
	await proxy
	total_up=${up[0]} total_down=${down[0]}
	rm -r whole
}

# broken: what a broken transfer of src may leave in D: files under their final
# name are whole, the others are partial files.
broken() {
	local file rest
	while IFS= read -r file; do
		rest=${file#D/}
		case ${rest##*/} in
		.*.haul-part) ;;
		*) same "$file" "$rest" || return ;;
		esac
	done < <(find D -type f)
}

# sweep WAY POSITION...: cut there, then do it again.
sweep() {
	local - && set +T
	local way=$1 list at n=0
	shift
	list=$(printf '%s,-,' "$@")
	through "cut=$way:$list"
	for at; do
		mkdir D
		echo "cut $way after $at bytes" >&2
		transfer -D D -- src
		counts $((++n))
		if [[ ${ended[n - 1]} == end ]]; then
			# Now and then the receiver says less in all.
			[[ $way == down ]]
			are 0 0
		else
			# The last word is the sender's: it may not arrive.
			are '[07]' 7
		fi
		broken
		[[ $sent == 7 ]] || same_tree src D/src
		transfer -D D -- src
		are 0 0
		same_tree src D/src
		no_parts D
		rm -r D
		n=$((n + 1))
	done
	counts $(($# * 2))
}

@test "cut at any byte from the sender: the next transfer finishes it" {
	few_files src
	measure src
	mapfile -t at < <(positions "$total_up" 24)
	sweep up "${at[@]}"
}

@test "cut at any byte from the receiver: the next transfer finishes it" {
	few_files src
	measure src
	mapfile -t at < <(positions "$total_down" 16)
	sweep down "${at[@]}"
}

# killing VICTIM SURVIVOR POSITION...
killing() {
	local - && set +T
	local victim=$1 survivor=$2 list at
	shift 2
	list=$(printf '%s,-,' "$@")
	through -v victim "kill=up:$list"
	for at; do
		mkdir D
		echo "$victim killed after $at bytes" >&2
		receiver -D D
		via=$(<proxy.port)
		rm -f victim
		sender src
		echo "${PID[$victim]}" >victim
		await "$survivor"
		# Who has not said anything yet is nobody that we know.
		[[ $status == 0 ]] || { ((at < 24)) && [[ $status == 9 ]]; } ||
			is 7 "$survivor.err"
		[[ $status != 0 ]] || same_tree src D/src
		await "$victim"
		is 137 "$victim.err"
		broken
		transfer -D D -- src
		are 0 0
		same_tree src D/src
		no_parts D
		rm -r D
	done
}

@test "the sender is killed at any byte" {
	few_files src
	measure src
	mapfile -t at < <(positions "$total_up" 18)
	killing send recv "${at[@]}"
}

@test "the receiver is killed at any byte" {
	few_files src
	measure src
	mapfile -t at < <(positions "$total_up" 18)
	killing recv send "${at[@]}"
}

@test "an end in order in the middle is no end" {
	few_files src
	measure src
	for at in 0 10 24 100 "$((total_up / 2))" "$((total_up - 1))"; do
		mkdir D
		receiver -D D
		through -n 1 "end=up:$at"
		sender src
		finish
		echo "after $at bytes" >&2
		# Who ends before it has greeted is nobody that we know.
		if ((at < 24)); then
			are '[79]' '[79]'
		else
			are '[07]' 7
		fi
		await proxy
		broken
		rm -r D
	done
}

@test "what had arrived is not sent again" {
	data 40000000 in
	mkdir D
	for where in "-D D" "-o D/in"; do
		rm -f D/in
		# shellcheck disable=SC2086
		receiver $where
		through "cut=up:30000000,-"
		sender in
		finish
		are 7 7
		one_line send.err
		one_line recv.err
		[[ -s D/.in.haul-part && ! -e D/in ]]
		# shellcheck disable=SC2086
		transfer $where -- in
		are 0 0
		same D/in in
		counts 2
		# The issue allows 16 MiB.
		((up[1] < 40000000 - 30000000 + 4 * 1048576))
		summary send.err "1 file" 40000000 "$(digest in)"
		summary recv.err "1 file" 40000000 "$(digest in)"
		(($(already send.err) > 26000000))
		[[ $(already send.err) == "$(already recv.err)" ]]
		no_parts D
		kill "${PID[proxy]}"
		unset via
	done
}

@test "the killed receiver: what had arrived is not sent again" {
	data 40000000 in
	receiver -o got
	rm -f victim
	through -v victim kill=up:30000000,-
	sender in
	echo "${PID[recv]}" >victim
	finish
	are 7 137
	# The rest of the 30000000 went down with its socket.
	had=$(stat -c %s .got.haul-part)
	((had > 0))
	transfer -o got -- in
	are 0 0
	same got in
	counts 2
	((up[1] < 40000000 - had + 1048576))
}

# part BYTES: a partial file of "in" in D, by a transfer that is cut.
part() {
	rm -rf D
	mkdir D
	receiver -D D
	through -n 1 "cut=up:$1"
	sender in
	finish
	are 7 7
	await proxy
	unset via
	[[ -s D/.in.haul-part && ! -e D/in ]]
}

@test "a source that has changed starts over" {
	data 3000000 in
	for change in first same-time shorter much-shorter empty longer; do
		part 2000000
		cp -p in saved
		case $change in
		first)
			printf '%s' XYZ | dd of=in conv=notrunc status=none
			;;
		same-time)
			printf '%s' ABC | dd of=in conv=notrunc status=none
			touch -r saved in
			;;
		shorter) truncate -s 2900000 in ;;
		much-shorter) truncate -s 1000 in ;;
		empty) : >in ;;
		longer) data 100000 more && cat more >>in ;;
		esac
		transfer -D D -- in
		are 0 0 || fail "$change"
		same D/in in
		no_parts D
		[[ $change != [fs][ia]* ]] || [[ $(already recv.err) == 0 ]]
		data 3000000 in
	done
}

@test "a partial file that is damaged starts over" {
	data 3000000 in
	for damage in first last longer much-longer other empty; do
		part 2000000
		case $damage in
		first) printf '%s' XYZ | dd of=D/.in.haul-part conv=notrunc status=none ;;
		last)
			truncate -s -3 D/.in.haul-part
			printf '%s' XYZ >>D/.in.haul-part
			;;
		longer) cat in >>D/.in.haul-part ;;
		much-longer) truncate -s 100M D/.in.haul-part ;;
		other) data 2000000 D/.in.haul-part ;;
		empty) : >D/.in.haul-part ;;
		esac
		transfer -D D -- in
		are 0 0 || fail "$damage"
		same D/in in
		no_parts D
	done
}

@test "a name of 255 bytes can be continued, and two of them differ" {
	mkdir src D
	printf -v a '%0255d' 1
	printf -v b '%0255d' 2
	data 2000000 "src/$a"
	data 2000000 "src/$b"
	receiver -D D
	through -n 1 cut=up:1500000
	sender src
	finish
	are 7 7
	unset via
	transfer -D D -- src
	are 0 0
	same_tree src D/src
	(($(already recv.err) > 1000000))
	[[ $(find D -type f | wc -l) == 2 ]]
}

@test "--retry-for: both sides go on by themselves" {
	data 10000000 in
	for roles in "send receive" "send-l receive-c"; do
		rm -f D/in
		mkdir -p D
		case $roles in
		"send receive")
			receiver --retry-for 10s -D D
			through -n 4 cut=up:3000000,2000000,3000000
			sender --retry-for 10s in
			;;
		*)
			# Up is the way to who listens.
			serve recv haul send -l --retry-for 10s 127.0.0.1 0 in
			through -n 4 cut=down:3000000,2000000,3000000
			PID[send]=${PID[recv]}
			start recv haul receive -c --retry-for 10s -D D \
				127.0.0.1 "$via" >received
			;;
		esac
		finish
		are 0 0
		same D/in in
		counts 4
		[[ ${ended[*]} == "cut cut cut end" ]]
		((up[0] + up[1] + up[2] + up[3] + down[0] + down[1] +
			down[2] + down[3] < 10000000 + 3 * 1048576))
		await_all proxy
		no_parts D
	done
}

@test "--retry-for: a tree, cut again and again" {
	few_files src
	for i in {1..20}; do
		data 20000 "src/$i"
	done
	mkdir D
	receiver --retry-for 10s -D D
	through -n 6 cut=up:100000,5000,150000,24,200000
	sender --retry-for 10s src
	finish
	are 0 0
	same_tree src D/src
	no_parts D
	await_all proxy
}

@test "--retry-for: the receiver is killed and comes back" {
	data 5000000 in
	# No port, that somebody else could get meanwhile.
	serve recv haul receive -o got unix:sock
	onward=connect-unix:sock through -v victim kill=up:3000000
	sender --retry-for 20s in
	echo "${PID[recv]}" >victim
	await recv
	is 137 recv.err
	serve recv haul receive --retry-for 5s -o got unix:sock
	finish
	are 0 0
	same got in
}

@test "--retry-for: the sender is killed and comes back" {
	data 5000000 in
	receiver --retry-for 20s -o got
	through -v victim kill=up:3000000
	sender in
	echo "${PID[send]}" >victim
	await send
	is 137 send.err
	runs recv
	sender in
	finish
	are 0 0
	same got in
}

@test "--retry-for: it comes to an end" {
	data 3000000 in
	for side in send recv; do
		rm -f victim .got.haul-part
		serve recv haul receive --retry-for 700ms -o got unix:sock
		onward=connect-unix:sock through -v victim kill=up:1000000
		sender --retry-for 700ms in
		case $side in
		send) echo "${PID[recv]}" >victim ;;
		recv) echo "${PID[send]}" >victim ;;
		esac
		begin=$(now_ms)
		await "$side"
		took=$(($(now_ms) - begin))
		[[ $status == [467] ]] || is 7 "$side.err"
		has "$side.err" '.'
		within "$took" 4000
		at_least "$took" 500
		stop_all
		[[ ! -e got ]] || same got in
		rm -f got
	done
}

@test "a stream from stdin is not continued, but done again" {
	data 3000000 in
	receiver --retry-for 300ms -o got
	through cut=up:2000000
	sender --retry-for 5s <in
	await send
	is 7 send.err
	await recv
	[[ $status == [67] ]]
	[[ ! -e got ]]
	# Nothing can go on with what came.
	no_parts .
	data 3000000 in
	transfer -o got -- <in
	are 0 0
	same got in
	no_parts .
}

@test "a file to stdout goes on behind what was written, or not at all" {
	data 3000000 in
	receiver --retry-for 10s
	through cut=up:2000000,1000,500000
	sender --retry-for 10s in
	finish
	are 0 0
	same received in
	counts 4
	# Not where it is another file, or another receiver.
	receiver --retry-for 10s
	through cut=up:2000000
	sender in
	await send
	is 7 send.err
	data 3000000 other
	sender other
	finish
	are 9 1
	size=$(stat -c %s received)
	((size > 0 && size <= 2000000))
	same received <(head -c "$size" in)
}

@test "receive -k: a transfer that breaks does not end it" {
	few_files src
	data 3000000 in
	mkdir D
	receiver -k -D D
	through -n 3 cut=up:100000,1000000
	sender src
	await send
	is 7 send.err
	sender in
	await send
	is 7 send.err
	runs recv
	sender src in
	await_all send
	same_tree src D/src
	same D/in in
	stop_all
}
