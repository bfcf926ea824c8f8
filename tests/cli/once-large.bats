#!/usr/bin/env bats
# Counts and offsets beyond 2^31 and 2^32.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154
# quick: no

load lib/common

@test "more than 4 GiB are counted" {
	truncate -s 256M part
	echo end >last
	files=()
	for _ in {1..16}; do files+=(part); done
	files+=(last)
	serve receiver haul receive --raw -v 127.0.0.1 0 > >(tail -c 5 >got)
	LIMIT=60 try haul send --raw -v 127.0.0.1 "$port" "${files[@]}"
	is 0
	await_all receiver
	has err 'sent 4294967300 bytes, received 0 bytes$'
	has receiver.err 'sent 0 bytes, received 4294967300 bytes$'
	await_text got end
}

@test "a file that is read from beyond 4 GiB, and one written there" {
	data 300000 in
	truncate -s 4294900000 large
	cat in >>large
	truncate -s 4294900000 got
	serve receiver haul receive --raw 127.0.0.1 0 >>got
	{
		/usr/bin/python3 -c 'import os; os.lseek(0, 4294900000, 0)'
		try -r haul send --raw 127.0.0.1 "$port" >/dev/null
	} <large
	is 0
	await_all receiver
	[[ $(stat -c %s got) == 4295200000 ]]
	tail -c 300000 got >end
	same end in
}
