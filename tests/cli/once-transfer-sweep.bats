#!/usr/bin/env bats
# A connection that is cut at a few hundred places, and done again.
# runs: first
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154
# quick: no

load lib/common
load lib/transfer

# sweep WAY COUNT: transfers of src, one after the other to the same receiver,
# each of them cut once at a further place and done again.
sweep() {
	local - && set +T
	local way=$1 count=$2 total at
	mkdir D
	receiver -D D
	through -n 1
	sender src
	finish
	are 0 0
	counts 1
	await proxy
	total=${down[0]}
	[[ $way == down ]] || total=${up[0]}
	rm -r D/src
	mapfile -t at < <(seq "$((total / count / 2))" \
		"$((total / count + 1))" "$((total - 1))")
	receiver -q -k -D D
	through "cut=$way:$(printf '%s,-,' "${at[@]}")"
	for at in "${at[@]}"; do
		echo "cut $way after $at bytes" >&2
		sender -q src
		await send
		[[ $status == 0 ]] || is 7 send.err
		[[ $status == 7 ]] || same_tree src D/src
		sender -q src
		await_all send
		same_tree src D/src
		no_parts D
		rm -r D/src
	done
	runs recv
	counts $((2 * ${#at[@]}))
	stop_all
	rm -r D
}

@test "cut at many places from the sender" {
	few_files src
	for HAUL_MODE in --blocking --nonblocking; do
		sweep up 60
	done
}

@test "cut at many places from the receiver" {
	few_files src
	for HAUL_MODE in --blocking --nonblocking; do
		sweep down 40
	done
}
