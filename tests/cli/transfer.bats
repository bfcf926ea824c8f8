#!/usr/bin/env bats
# Transfers: streams and single files, operands, transports, both roles.
# shellcheck disable=SC1003,SC2016,SC2103,SC2030,SC2031,SC2034,SC2154

load lib/common
load lib/transfer

@test "stdin to stdout: sizes around those of pipes, buffers and frames" {
	for size in 0 1 4095 65536 65537 262144 1048575 1048576 1048577 3000001
	do
		data "$size" in
		transfer -- <in
		are 0 0
		same received in
		transfer -- < <(cat in)
		are 0 0
		same received in
	done
}

@test "stdin to a file, a file to stdout, - for both" {
	data 300001 in
	transfer -o got -- <in
	are 0 0
	same got in
	nothing_written
	no_parts .
	transfer -- in
	are 0 0
	same received in
	transfer -o - -- - <in
	are 0 0
	same received in
	rm got
	transfer -o got -- in
	are 0 0
	same got in
	nothing_written
}

@test "an empty stream makes an empty file, and so does an empty file" {
	: >empty
	transfer -o got -- </dev/null
	are 0 0
	[[ -f got && ! -s got ]]
	mkdir D
	transfer -D D -- empty
	are 0 0
	[[ -f D/empty && ! -s D/empty ]]
	transfer -- empty
	are 0 0
	nothing_written
}

@test "many files, by their base names, with mode and time" {
	mkdir -p a/b D
	data 100000 a/b/one
	data 1 two
	: >three
	echo four >.four
	chmod 640 a/b/one
	chmod 755 two
	chmod 400 three
	touch -d '2001-02-03 04:05:06.789012345' a/b/one
	touch -d '1969-12-31 23:59:58.5 UTC' two
	touch -d '2100-01-01 00:00:00.000000001 UTC' three
	(umask 077 && transfer -D D -- a/b/one two three ./.four && are 0 0)
	[[ $(find D -type f | wc -l) == 4 ]]
	for file in a/b/one two three .four; do
		same "D/${file##*/}" "$file"
		[[ $(stat -c '%a %.Y' "D/${file##*/}") == \
			"$(stat -c '%a %.Y' "$file")" ]]
	done
	no_parts D
}

@test "setuid, setgid and sticky are dropped" {
	mkdir D dir
	echo a >u
	echo a >dir/g
	chmod 6755 u
	chmod 2711 dir/g
	chmod 3775 dir
	transfer -D D -- u dir
	are 0 0
	[[ $(stat -c %a D/u D/dir D/dir/g | xargs) == "755 775 711" ]]
}

@test "names: newline, invalid UTF-8, escapes, spaces, dashes, 255 bytes" {
	mkdir D src
	printf -v long '%0255d' 0
	names=($'new\nline' $'\xff\xfe\x80' $'\e[31mred' $'\u202egpj.exe' ' '
		'a b' '*' '\' '"' -x -- - ... "$long" $'\x01' '~' '$HOME'
		'%n%s' .haul-part x)
	for name in "${names[@]}"; do
		printf '%s' "content of $name" >"src/$name"
	done
	cd src
	files=("${names[@]/#/./}")
	cd ..
	transfer -D D -- src
	are 0 0
	same_tree src D/src
	# And as operands.
	mkdir E
	transfer -D E -- "${files[@]/#./src}"
	are 0 0
	diff -r src E
	transfer -D D -- "src/$long"
	are 0 0
	same "D/$long" "src/$long"
}

@test "a symbolic link on the command line is followed, and gives the name" {
	mkdir D dir
	data 1000 file
	echo x >dir/x
	ln -s file l
	ln -s dir ld
	transfer -D D -- l ld
	are 0 0
	[[ -f D/l && ! -L D/l && -d D/ld && ! -L D/ld ]]
	same D/l file
	says D/ld/x x
	[[ $(echo D/*) == "D/l D/ld" ]]
}

@test "a FIFO or a device as an operand is a stream under its name" {
	mkdir D
	mkfifo pipe
	data 200000 in
	start feeder cp in pipe
	transfer -D D -- pipe /dev/null
	are 0 0
	await_all feeder
	[[ -f D/pipe && -f D/null && ! -s D/null ]]
	same D/pipe in
	start feeder cp in pipe
	transfer -- pipe
	are 0 0
	same received in
}

@test "a file whose size is not known before it is read" {
	mkdir D
	transfer -D D -- /proc/self/limits
	[[ $sent != 0 || -s D/limits ]] || fail "an empty file and status 0"
	[[ $sent == "$received" || $sent == 1 ]]
}

@test "two operands with the same name: a usage error before anything" {
	mkdir a b
	echo 1 >a/x
	echo 2 >b/x
	for args in "a/x b/x" "a a/" "a/x a/x" "a/x ./b/../a/x"; do
		# shellcheck disable=SC2086
		try haul send 127.0.0.1 1 $args
		is 2
		one_line err
	done
}

@test "an operand that is not there: status 1 before anything is connected" {
	echo >a
	ln -s nowhere dangling
	for name in nosuch dangling a/x nosuch/a; do
		for args in "$name" "a $name" "$name a"; do
			# Nobody listens there: that would be status 4.
			# shellcheck disable=SC2086
			try haul send 127.0.0.1 1 $args
			is 1
			one_line err
			has err "$name"
		done
	done
}

@test "send --listen and receive --connect" {
	mkdir D dir
	few_files dir
	data 100000 in
	serve send haul send -l 127.0.0.1 0 <in
	start recv haul receive -c 127.0.0.1 "$port" >received
	finish
	are 0 0
	same received in
	serve send haul send -l 127.0.0.1 0 dir
	start recv haul receive -c -D D 127.0.0.1 "$port"
	finish
	are 0 0
	same_tree dir D/dir
	serve send haul send -l 127.0.0.1 0 in
	start recv haul receive -c -o got 127.0.0.1 "$port"
	finish
	are 0 0
	same got in
}

@test "unix:, abstract names and IPv6" {
	need_ipv6
	mkdir dir
	few_files dir
	addresses=(unix:sock "::1 0")
	portable || addresses+=("unix:@haul-test-$$-$BATS_TEST_NUMBER$HAUL_MODE")
	for address in "${addresses[@]}"; do
		mkdir D
		# shellcheck disable=SC2086
		serve recv haul receive $address -D D
		[[ $address != ::1* ]] || address="::1 $port"
		# shellcheck disable=SC2086
		start send haul send $address dir
		finish
		are 0 0
		same_tree dir D/dir
		rm -r D
	done
	[[ ! -e sock ]]
}

@test "a blocking and a non-blocking side" {
	mkdir dir
	few_files dir
	data 5000000 in
	for modes in "--blocking --nonblocking" "--nonblocking --blocking"; do
		mkdir D
		HAUL_MODE=${modes% *} receiver -D D
		HAUL_MODE=${modes#* } sender dir in
		finish
		are 0 0
		same_tree dir D/dir
		same D/in in
		rm -r D
		HAUL_MODE=${modes% *} receiver
		HAUL_MODE=${modes#* } sender < <(cat in)
		finish
		are 0 0
		same received in
	done
}

@test "no mode chosen" {
	data 300000 in
	HAUL_MODE=-n transfer -- <in
	are 0 0
	same received in
}

@test "tar to tar" {
	mkdir src D
	few_files src
	serve recv haul receive 127.0.0.1 0 > >(tar -C D -x; echo >unpacked)
	sender < <(tar -C src --format=posix -c .)
	finish
	are 0 0
	await_file unpacked
	same_tree src D
}

@test "a slow reader, a slow writer" {
	data 3000000 in
	mkfifo out
	start reader "$BASH" -c '{
		for i in {1..20}; do head -c 100000; sleep 0.01; done
		cat
	} <out >got'
	serve recv haul receive 127.0.0.1 0 >out
	sender < <(head -c 1000000 in; nap 0.3; tail -c +1000001 in)
	finish
	are 0 0
	await reader
	same got in
}

@test "--raw on both sides is the plain stream" {
	data 300000 in
	transfer --raw -- --raw <in
	are 0 0
	same received in
	says send.err
	says recv.err
	transfer --raw -- --raw in in
	are 0 0
	same received <(cat in in)
}

@test "--fsync: the same, whatever it is written to" {
	mkdir D dir
	few_files dir
	transfer --fsync -D D -- dir
	are 0 0
	same_tree dir D/dir
	transfer --fsync -o got -- dir/large
	are 0 0
	same got dir/large
}

@test "the reader of stdout has gone: 1, and the sender learns it" {
	data 3000000 in
	serve recv haul receive 127.0.0.1 0 > >(head -c 10 >got)
	sender in
	finish
	are 9 1
	one_line send.err
}

@test "stdout is full: 1, and the sender learns why" {
	data 300000 in
	for args in "" in; do
		serve recv haul receive 127.0.0.1 0 >/dev/full
		# shellcheck disable=SC2086
		sender $args <in
		finish
		are 9 1
		one_line send.err
		one_line recv.err
		both_say 'no space left on device'
	done
}
