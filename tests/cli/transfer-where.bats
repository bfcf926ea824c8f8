#!/usr/bin/env bats
# The receiver decides where: what is refused, and that nothing is replaced.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load lib/common
load lib/transfer

@test "several files or a directory without -D: refused, nothing is written" {
	mkdir dir
	echo 1 >dir/a
	echo 2 >dir/b
	for where in "" "-o got" "-o -"; do
		for args in dir dir/. "dir/a dir/b" "dir/a dir"; do
			# shellcheck disable=SC2086
			transfer $where -- $args
			are 9 9
			one_line send.err
			one_line recv.err
			has recv.err '--directory'
			nothing_written
			[[ ! -e got ]]
			no_parts .
		done
	done
}

@test "a terminal takes a stream, but not a file" {
	printf 'hello\n' >in
	for input in stream file; do
		rm -f recv.port
		on_tty recv 80 haul receive 127.0.0.1 0 --port-file recv.port
		await_ready recv
		port=$(<recv.port)
		if [[ $input == file ]]; then
			sender in
		else
			sender <in
		fi
		await send
		sent=$status
		await recv
		case $input in
		file)
			[[ $sent == 9 ]]
			has recv.said '^exit 9$'
			lacks recv.tty hello
			;;
		stream)
			[[ $sent == 0 ]]
			has recv.said '^exit 0$'
			grep -aq hello recv.tty
			;;
		esac
		has recv.said '^terminal kept$'
	done
}

@test "a stream has no name for -D: refused" {
	mkdir D
	echo hello >in
	transfer -D D -- <in
	are 9 9
	one_line send.err
	one_line recv.err
	[[ ! $(ls -A D) ]]
	# A FIFO on the command line has one.
	start feeder "$BASH" -c 'mkfifo pipe && cat in >pipe'
	await_file pipe
	transfer -D D -- pipe
	are 0 0
	same D/pipe in
}

@test "-o: what exists is refused; the same content counts as delivered" {
	data 100000 in
	echo mine >got
	transfer -o got -- in
	are 9 1
	says recv.err 'haul receive: got: exists; use --force to replace it'
	has send.err exists
	says got mine
	no_parts .
	transfer -o got -- <in
	are 9 1
	says got mine
	transfer --force -o got -- in
	are 0 0
	same got in
	inode=$(stat -c %i got)
	transfer -o got -- in
	are 0 0
	[[ $(stat -c %i got) == "$inode" ]]
	same got in
	# The same size is not enough.
	data 100000 got
	cp got before
	transfer -o got -- in
	are 9 1
	same got before
	no_parts .
}

@test "-D: what exists is refused, and the others are delivered" {
	mkdir -p D src/sub
	for i in 1 2 3 4 5; do
		data 50000 "src/$i"
	done
	echo deep >src/sub/6
	transfer -D D -- src
	are 0 0
	rm D/src/1
	data 50000 D/src/2
	echo short >D/src/3
	cp -a D/src/2 two
	transfer -D D -- src
	are 9 1
	has recv.err '^haul receive: src/2: exists; use --force to replace it$' \
		'^haul receive: src/3: exists; use --force to replace it$'
	has send.err '(2|src/2).*exists'
	same D/src/1 src/1
	same D/src/2 two
	says D/src/3 short
	same D/src/4 src/4
	no_parts D
	transfer --force -D D -- src
	are 0 0
	same_tree src D/src
	no_parts D
}

@test "what is there already is not sent again" {
	mkdir D src
	data 3000000 src/large
	echo x >src/small
	transfer -D D -- src
	are 0 0
	receiver -D D
	through -n 1
	sender src
	finish
	are 0 0
	counts 1
	((up[0] < 10000))
	[[ $(already send.err) == 3000002 ]]
	[[ $(already recv.err) == 3000002 ]]
}

@test "a directory where a file is to be, a file where a directory is" {
	mkdir -p D/a src/b
	echo 1 >src/a
	echo 2 >src/b/x
	echo 3 >src/c
	echo mine >D/a/mine
	echo mine >D/b
	for force in "" --force; do
		# shellcheck disable=SC2086
		transfer $force -D D -- src/a src/b src/c
		if [[ ! $force ]]; then
			are 9 1
			says D/b mine
		else
			# Never more than one entry for another.
			[[ $received == 1 && $sent == 9 ]]
		fi
		says D/a/mine mine
		says D/c 3
	done
	no_parts D
}

@test "symbolic links in the target are not followed" {
	mkdir -p D outside src/sub src/dir
	echo victim >outside/victim
	echo new >src/file
	echo new >src/sub/victim
	echo new >src/sub/fresh
	echo new >src/dir/f
	for force in "" --force; do
		rm -rf D
		mkdir -p D/src
		# To a file, to nothing, to directories: absolute and relative.
		ln -s ../../outside/victim D/src/file
		ln -s "$PWD/outside" D/src/sub
		ln -s ../../outside D/src/dir
		# shellcheck disable=SC2086
		transfer $force -D D -- src
		[[ $force ]] || are 9 1
		[[ $(ls outside) == victim ]]
		says outside/victim victim
		if [[ $received == 0 ]]; then
			diff -r --no-dereference src D/src
		fi
		rm -rf D
		mkdir D
		ln -s ../outside D/src
		# shellcheck disable=SC2086
		transfer $force -D D -- src
		[[ $force ]] || are 9 1
		[[ $(ls outside) == victim ]]
	done
}

@test "links that were just sent lead nowhere either" {
	mkdir -p D outside one two/d
	ln -s ../outside one/d
	echo new >two/d/file
	mv one src
	transfer -D D -- src
	are 0 0
	[[ -L D/src/d ]]
	rm -r src
	mv two src
	for force in "" --force; do
		# shellcheck disable=SC2086
		transfer $force -D D -- src
		[[ ! $(ls outside) ]]
		[[ $force ]] || are 9 1
	done
}

@test "a link at the name of the partial file is not followed" {
	mkdir D
	echo victim >victim
	data 100000 in
	for at in "ln -s ../victim" "ln -s ../fresh" mkfifo mkdir; do
		for where in "-D D" "-o D/in"; do
			rm -rf D
			mkdir D
			$at D/.in.haul-part
			# shellcheck disable=SC2086
			transfer $where -- in
			says victim victim
			[[ ! -e fresh ]]
			if [[ $received == 0 ]]; then
				same D/in in
			else
				[[ ! -e D/in ]]
				one_line recv.err
				[[ $sent == 9 ]]
			fi
		done
	done
}

@test "a target that comes into being meanwhile is not replaced" {
	hold pipe
	receiver -o got
	sender <pipe
	echo hello >&"$W"
	await_file .got.haul-part
	[[ ! -e got ]]
	echo mine >got
	let_go
	finish
	are 9 1
	says got mine
	has recv.err 'got: exists'
	has send.err exists
}

@test "a stream is under its name only when it is whole" {
	hold pipe
	receiver -o got
	sender <pipe
	echo hello >&"$W"
	await_file .got.haul-part
	await_size .got.haul-part 6
	[[ ! -e got ]]
	echo world >&"$W"
	let_go
	finish
	are 0 0
	says got hello world
	no_parts .
}

@test "a private file is private from the beginning" {
	data 3000000 in
	chmod 600 in
	receiver -o got
	through -n 1 -m mark -g go hold=up:1000000
	sender in
	await_file mark
	await_file .got.haul-part
	[[ $(stat -c %a .got.haul-part) == 600 ]]
	touch go
	finish
	are 0 0
	[[ $(stat -c %a got) == 600 ]]
}

@test "--force, the same size, and a partial file of old" {
	data 100000 in
	for part in in older; do
		data 100000 older
		data 100000 got
		cp "$part" .got.haul-part
		transfer --force -o got -- in
		are 0 0
		same got in
		no_parts .
	done
}

@test "two transfers to the same file: the second is refused" {
	mkdir D
	data 3000000 in
	for where in "-D D" "-o D/in"; do
		rm -f D/in mark go
		# shellcheck disable=SC2086
		receiver $where
		through -n 1 -m mark -g go hold=up:1000000
		sender in
		await_file mark
		await_file D/.in.haul-part
		# shellcheck disable=SC2086
		serve recv2 haul receive 127.0.0.1 0 $where
		try haul send 127.0.0.1 "$port" in
		is 9
		await recv2
		is 1 recv2.err
		has recv2.err 'another transfer'
		touch go
		finish
		are 0 0
		same D/in in
	done
}

@test "-o: a directory" {
	mkdir dir
	echo x >in
	transfer -o dir -- in
	are 9 1
	transfer --force -o dir -- in
	are 9 1
	[[ -d dir && ! $(ls -A dir) ]]
	no_parts .
}

@test "targets that cannot be: status 1 before anybody can connect" {
	echo file >file
	mkdir dir
	for where in "-D nosuch" "-D file" "-o nosuch/got" "-o file/got" "-o dir/" \
		"-o ." "-o dir/.."; do
		# shellcheck disable=SC2086
		LIMIT=5 try haul receive --port-file p 127.0.0.1 0 $where
		is 1
		one_line err
		where=${where#-? }
		has err "${where%%/*}"
		[[ ! -e p ]]
	done
}

@test "DIR itself may be a link, and may be /" {
	mkdir dir
	ln -s dir D
	few_files src
	transfer -D D -- src
	are 0 0
	same_tree src dir/src
	transfer -D D/ -- src
	are 0 0
}

@test "a directory that is read-only: both lines say so" {
	in_space '
		. "$LIB/transfer.bash"
		mkdir D
		mount --bind D D
		mount -o remount,bind,ro D
		few_files src
		for where in "-D D" "-o D/got"; do
			file=src
			[[ $where == -D* ]] || file=src/large
			# What can be seen at once may be told at once.
			start recv haul receive --port-file recv.port \
				127.0.0.1 0 $where
			until [[ -s recv.port ]] || ! runs recv; do nap; done
			if [[ -s recv.port ]]; then
				port=$(<recv.port)
				sender $file
				await send
				is 9 send.err
				has send.err "read-only file system"
			fi
			await recv
			is 1 recv.err
			has recv.err "read-only file system"
			[[ ! $(ls -A D) ]]
			rm -f recv.port
		done'
}

@test "a directory without permission" {
	((EUID == 0)) || chmod 755 .
	mkdir D
	chmod 555 D
	few_files src
	unprivileged recv haul receive -D D --port-file recv.port 127.0.0.1 0
	until [[ -s recv.port ]] || ! runs recv; do nap; done
	if [[ -s recv.port ]]; then
		port=$(<recv.port)
		sender src
		await send
		is 9 send.err
		has send.err 'permission denied'
	fi
	await recv
	is 1 recv.err
	has recv.err 'permission denied'
	[[ ! $(ls -A D) ]]
}

@test "a file that does not fit is refused before it is sent" {
	in_space '
		. "$LIB/transfer.bash"
		mkdir D
		mount -t tmpfs -o size=2m none D
		data 3000000 in
		mkdir src
		cp in src
		for where in "-D D" "-o D/in"; do
			file=in
			[[ $where == -o* ]] || file=src
			receiver $where
			through -n 1
			sender $file
			finish
			are 9 1
			both_say "no space left on device|not enough space"
			counts 1
			((up[0] < 100000))
			[[ ! $(find D -type f) ]]
			unset via
		done
		# What is a hole needs no space.
		! portable || exit 0
		truncate -s 100M sparse
		transfer -D D -- sparse
		are 0 0'
}

@test "a disk that fills: 1 and 9 with the reason, and the rest later" {
	in_space '
		. "$LIB/transfer.bash"
		mkdir D
		mount -t tmpfs -o size=8m none D
		data 5000000 in
		for where in "-D D" "-o D/in"; do
			rm -f mark go D/*
			receiver $where
			through -n 1 -m mark -g go hold=up:1000000
			sender in
			await_file mark
			await_size D/.in.haul-part 600000
			# More than it leaves.
			head -c 8000000 /dev/zero >D/filler 2>/dev/null || :
			touch go
			finish
			are 9 1
			one_line send.err
			one_line recv.err
			both_say "no space left on device"
			[[ ! -e D/in && -e D/.in.haul-part ]]
			rm D/filler
			unset via
			transfer $where -- in
			are 0 0
			same D/in in
			(($(already recv.err) > 500000))
			no_parts D
		done'
}

@test "a stream onto a disk that fills" {
	in_space '
		. "$LIB/transfer.bash"
		mkdir D
		mount -t tmpfs -o size=1m none D
		receiver -o D/in
		sender < <(head -c 8000000 /dev/zero)
		finish
		are 9 1
		one_line send.err
		one_line recv.err
		both_say "no space left on device"
		[[ ! -e D/in ]]
		# And one that goes on for ever.
		rm -f D/.in*
		receiver -o D/in
		sender </dev/zero
		finish
		are 9 1'
}

@test "a limit on the size of files" {
	data 300000 in
	rm -f recv.port
	start recv start fsize 100000 -- haul receive --port-file recv.port \
		-o got 127.0.0.1 0
	await_ready recv
	port=$(<recv.port)
	sender in
	finish
	are 9 1
	one_line recv.err
	both_say 'file too large'
	[[ ! -e got ]]
}

@test "control characters in names are escaped in what is printed" {
	mkdir D src
	names=($'\e[31mred\a' $'new\nline' $'\xe2\x80\xaegpj' $'\xff\xfe'
		$'tab\tr\r' $'\xc2\x9b1m')
	for name in "${names[@]}"; do
		echo new >"src/$name"
		echo older >"D/$name"
		transfer -v -D D -- -v "src/$name"
		are 9 1
		for file in send.err recv.err; do
			lacks "$file" '[\x00-\x09\x0b-\x1f\x7f\xff\xfe]'
			lacks "$file" '\xe2\x80\xae|\xc2\x9b'
			lacks "$file" '^(?!haul )'
		done
	done
}
