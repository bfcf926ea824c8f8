#!/usr/bin/env bats
# What transfers tell: the summary, progress, lines for files, SIGUSR1.
# shellcheck disable=SC2016,SC2103,SC2030,SC2031,SC2034,SC2154
# quick: no

load lib/common
load lib/transfer

@test "one line at the end of each side, with the digest that xxhsum prints" {
	for size in 0 1 2 1234567; do
		data "$size" in
		transfer -- in
		are 0 0
		one_line send.err
		one_line recv.err
		summary send.err "1 file" "$size" "$(digest in)"
		summary recv.err "1 file" "$size" "$(digest in)"
		rm -f got
		transfer -o got -- <in
		are 0 0
		one_line send.err
		one_line recv.err
		summary send.err "1 (file|stream)" "$size" "$(digest in)"
		summary recv.err "1 (file|stream)" "$size" "$(digest in)"
	done
}

@test "several files: their number and bytes, one digest for all" {
	mkdir D src
	for i in 1 2 3; do
		data 1000 "src/$i"
	done
	transfer -D D -- src/1 src/2 src/3
	are 0 0
	one_line send.err
	one_line recv.err
	summary send.err "3 files" 3000
	summary recv.err "3 files" 3000
	one=$(grep -o 'xxh3-128 .*' send.err)
	[[ $one == "$(grep -o 'xxh3-128 .*' recv.err)" ]]
	# Directories and links are no files.
	ln -s 1 src/l
	mkdir src/d
	transfer -D D -- src
	are 0 0
	summary send.err "3 files" 3000
	summary recv.err "3 files" 3000
}

@test "-q: nothing at all" {
	data 100000 in
	transfer -q -- -q in
	are 0 0
	says send.err
	says recv.err
	transfer -q -- -q --progress in
	are 0 0
	says send.err
	says recv.err
}

@test "-v: a line for each file with its digest" {
	mkdir D
	few_files src
	transfer -v -D D -- -v src
	are 0 0
	for file in src/large src/empty src/sub/middle src/sub/small; do
		for side in send:send recv:receive; do
			has "${side%:*}.err" "^haul ${side#*:}: $file: xxh3-128 $(digest "$file")\$"
		done
	done
	summary send.err "4 files" 270007
	summary recv.err "4 files" 270007
}

# frames FILE: how many times the line was drawn.
frames() {
	shown "$1" | wc -l
}

@test "--progress without a terminal: at most ten lines a second" {
	data 600000 in
	receiver --progress -o got
	through -n 1 rate=up:300000
	begin=$(now_ms)
	sender --progress in
	finish
	took=$(($(now_ms) - begin))
	are 0 0
	for file in send.err recv.err; do
		grep -q $'\r' "$file"
		n=$(frames "$file")
		((n <= took / 100 + 3)) || fail "$file: $n in $took ms"
		((n >= took / 500)) || fail "$file: only $n in $took ms"
		shown "$file" >lines
		has lines '%' '[KM]i?B' '[KM]i?B/s'
		summary "$file" "1 file" 600000 "$(digest in)"
		# It comes on a line of its own.
		[[ $(tail -n 1 "$file" | tr '\r' '\n' | sed '/^ *$/d' |
			tail -n 1) == *"haul "*xxh3-128* ]]
	done
}

@test "progress is drawn by a timer, not by what moves" {
	data 50000000 in
	mkfifo out
	exec {stuck}<>out
	serve recv haul receive --progress 127.0.0.1 0 >out
	sender --progress in
	nap 1.2
	kill "${PID[send]}" "${PID[recv]}"
	await send
	await recv
	for file in send.err recv.err; do
		n=$(frames "$file")
		((n >= 4 && n <= 18)) || fail "$file: $n"
	done
	exec {stuck}>&-
}

@test "the sender counts what the receiver has confirmed" {
	data 60000000 in
	mkfifo out
	exec {stuck}<>out
	# Nobody reads: far more has been sent than has come out.
	serve recv haul receive 127.0.0.1 0 >out
	sender --progress in
	nap 1
	# The sender first: a receiver that goes would make it say so.
	kill "${PID[send]}"
	await send
	kill "${PID[recv]}"
	await recv
	shown send.err | tail -n 1 >last
	exec {stuck}>&-
	has last '(^|[^0-9])[0-2]%'
}

@test "nothing but the summary without a terminal; --no-progress with one" {
	data 600000 in
	receiver
	through -n 1 rate=up:600000
	sender in
	finish
	are 0 0
	one_line send.err
	one_line recv.err
	lacks send.err '\r'
	unset via
	receiver
	through -n 1 rate=up:600000
	on_tty send 80 haul send --no-progress 127.0.0.1 "$via" in
	finish
	[[ $(frames send.tty) == 0 ]]
	summary send.tty "1 file" 600000 "$(digest in)"
}

@test "a terminal: the line fits its width, and the terminal is kept" {
	printf -v long '%0200d' 0
	data 500000 "$long"
	data 500000 short
	i=0
	for width in 10 20 40 80 132; do
		for name in "$long" short; do
			mkdir "$((++i))"
			cd "$i"
			receiver
			through -n 1 rate=up:700000
			on_tty send "$width" haul send 127.0.0.1 "$via" \
				"../$name"
			PID["send$i"]=${PID[send]}
			PID["recv$i"]=${PID[recv]}
			widths[i]=$width names[i]=$name
			unset via
			cd ..
		done
	done
	for i in {1..10}; do
		await "send$i"
		await "recv$i"
		is 0 "$i/recv.err"
		has "$i/send.said" '^exit 0$' '^terminal kept$'
		shown "$i/send.tty" >lines
		(($(wc -l <lines) >= 2)) || fail "${widths[i]}: $(cat lines)"
		(($(wc -L <lines) <= widths[i])) ||
			fail "${widths[i]}: $(cat lines)"
		((widths[i] < 40)) || has lines '%'
		((widths[i] < 80)) || [[ ${names[i]} != short ]] ||
			has lines short '%.*[0-9.]+ [KM]i?B.*[0-9.]+ [KM]i?B/s'
	done
}

@test "a terminal of unknown width, a receiver on one, an unknown size" {
	data 500000 in
	mkdir D
	for width in 0 60; do
		rm -f recv.port
		on_tty recv "$width" haul receive -o "got$width" \
			127.0.0.1 0 --port-file recv.port
		await_ready recv
		through -n 1 rate=up:700000
		sender < <(cat in)
		await send
		is 0 send.err
		await recv
		has recv.said '^exit 0$' '^terminal kept$'
		same "got$width" in
		shown recv.tty >lines
		(($(wc -l <lines) >= 2))
		[[ $width == 0 ]] || (($(wc -L <lines) <= width))
		(($(wc -L <lines) <= 80))
		lacks lines %
		has lines '[0-9.]+ [KM]i?B.*[0-9.]+ [KM]i?B/s'
	done
}

@test "a terminal, -q: nothing" {
	data 500000 in
	receiver
	on_tty send 80 haul send -q 127.0.0.1 "$port" in
	finish
	[[ ! -s send.tty ]]
}

@test "names in the progress line are escaped" {
	name=$'\e[31mred\n\xe2\x80\xae'
	data 500000 "$name"
	receiver
	through -n 1 rate=up:700000
	on_tty send 80 haul send 127.0.0.1 "$via" "$name"
	finish
	has send.said '^exit 0$'
	grep -aq red send.tty
	lacks send.tty '\x1b\[31m'
	lacks send.tty '\xe2\x80\xae'
	[[ $(wc -l <send.tty) == 1 ]]
}

@test "SIGUSR1: a line with the state, again and again" {
	data 3000000 in
	receiver -o got
	through -n 1 -m mark -g go hold=up:1500000
	sender in
	await_file mark
	await_size .got.haul-part 300000
	for side in send recv; do
		for n in 1 2 3; do
			kill -USR1 "${PID[$side]}"
			await_text "$side.err" "^haul .*" 5
			end=$(($(now_ms) + 5000))
			until [[ $(wc -l <"$side.err") == "$n" ]]; do
				(($(now_ms) < end))
				nap
			done
		done
		has "$side.err" '[0-9]+ of 3000000 bytes'
		[[ $(grep -vc '^haul [a-z]*: ' "$side.err") == 0 ]]
	done
	touch go
	finish
	are 0 0
	same got in
	[[ $(wc -l <send.err) == 4 && $(wc -l <recv.err) == 4 ]]
}

@test "SIGUSR1 does not end what is still waiting" {
	hold pipe
	receiver
	kill -USR1 "${PID[recv]}"
	nap 0.2
	runs recv
	sender <pipe
	echo hello >&"$W"
	await_size received 6
	kill -USR1 "${PID[send]}" "${PID[recv]}"
	await_text send.err '^haul send: '
	await_text recv.err '^haul receive: '
	echo world >&"$W"
	let_go
	finish
	are 0 0
	says received hello world
}

@test "the mistakes of both sides are one line each" {
	data 100000 in
	echo other >got
	transfer -o got -- in
	are 9 1
	one_line send.err
	one_line recv.err
}
