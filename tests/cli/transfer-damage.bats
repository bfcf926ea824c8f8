#!/usr/bin/env bats
# A flipped bit anywhere on the wire: both sides know, and nothing wrong stays.
# runs: first
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load lib/common
load lib/transfer

# flips WAY POSITION...: a bit of that byte is flipped, in a transfer of src to
# D; then both end with 9, soon.
flips() {
	local - && set +T
	local way=$1 at begin took file n=0
	shift
	through "flip=$way:$(printf '%s,' "$@")"
	for at; do
		mkdir D
		begin=$(now_ms)
		transfer -D D -- src
		took=$(($(now_ms) - begin))
		echo "byte $at on the way $way" >&2
		counts $((++n))
		if ((${down[n - 1]} <= at)) && [[ $way == down ]]; then
			# Now and then the receiver says less in all.
			are 0 0
			rm -r D
			continue
		fi
		are 9 9
		one_line send.err
		one_line recv.err
		within "$took" 3000
		# What has its name is what was sent.
		while IFS= read -r file; do
			same "$file" "${file#D/}"
		done < <(find D -type f ! -name '*.haul-part')
		rm -r D
	done
}

# totals: of a whole transfer of src.
totals() {
	mkdir whole
	receiver -D whole
	through -n 1
	sender src
	finish
	are 0 0
	counts 1
	await proxy
	total_up=${up[0]} total_down=${down[0]}
}

@test "a flipped bit on the way to the receiver" {
	few_files src
	totals
	mapfile -t at < <(positions "$total_up" 30)
	flips up "${at[@]}"
}

@test "a flipped bit on the way to the sender" {
	few_files src
	totals
	mapfile -t at < <(positions "$total_down" 24)
	flips down "${at[@]}"
}

@test "a flipped bit in one file, to a file" {
	data 3000000 in
	for at in 500 100000 1500000 2999999; do
		receiver -o got
		through -n 1 flip=up:$at
		sender in
		finish
		are 9 9
		[[ ! -e got ]]
		# Where no header is damaged, nothing of it can be used.
		((at < 1000)) || no_parts .
		unset via
		transfer -o got -- in
		are 0 0
		same got in
		no_parts .
		rm got
	done
}

@test "a flipped bit in a stream to stdout" {
	data 3000000 in
	receiver
	through -n 1 flip=up:1500000
	sender < <(cat in)
	finish
	are 9 9
	one_line send.err
	one_line recv.err
}

@test "a flipped bit in one of many: the others are delivered" {
	mkdir src D
	for i in 1 2 3; do
		data 1000000 "src/$i"
	done
	receiver -D D
	through -n 1 flip=up:1500000
	sender src
	finish
	are 9 9
	missing=0
	for i in 1 2 3; do
		if [[ -e D/src/$i ]]; then
			same "D/src/$i" "src/$i"
		else
			missing=$((missing + 1))
		fi
	done
	((missing >= 1))
	unset via
	transfer -D D -- src
	are 0 0
	same_tree src D/src
	no_parts D
}
