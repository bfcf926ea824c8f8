#!/usr/bin/env bats
# UNIX sockets: what may lie at the path, long paths, permissions, names.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load lib/common

# A path of so many bytes in this folder.
long_path() {
	head -c "$1" /dev/zero | tr '\0' p
}

# A socket file whose process is gone.
make_stale() {
	/usr/bin/python3 -c 'import socket, sys
socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$1"
}

@test "bytes both ways, and the path is gone at the end" {
	data 100000 in
	data 50000 answer
	serve haul haul listen unix:./sock <in >out
	[[ -S sock ]]
	start peer stream -o got connect-unix:sock send=answer shut recv-eof
	await_all haul peer
	same got in
	same out answer
	[[ ! -e sock ]]
}

@test "the path is gone after a failure, too" {
	serve haul haul listen --accept-timeout 100ms unix:sock
	await haul
	is 6 haul.err
	[[ ! -e sock ]]
	serve haul haul receive --raw unix:sock >/dev/full
	start peer stream connect-unix:sock text=hello recv-any
	await haul
	is 1 haul.err
	[[ ! -e sock ]]
}

@test "a stale socket is replaced" {
	make_stale sock
	for sub in listen "receive --raw"; do
		# shellcheck disable=SC2086
		serve haul haul $sub unix:sock >out
		start peer stream connect-unix:sock text=hello shut recv-eof
		await_all haul peer
		says out hello
		make_stale sock
	done
	rm sock
	# As is one of datagrams.
	/usr/bin/python3 -c 'import socket
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).bind("sock")'
	serve haul haul receive -u unix:sock >out
	try dgram to-unix:sock text=hello
	await_text out hello
}

@test "a live socket is left alone" {
	serve first haul listen unix:sock >got
	for sub in listen receive; do
		try haul "$sub" unix:sock
		is 5
		says err "haul $sub: unix:sock: somebody listens there"
	done
	[[ -S sock ]]
	start peer stream connect-unix:sock text=hello shut recv-eof
	await_all first peer
	says got hello
	# And one of datagrams.
	serve first haul receive -u unix:sock >got
	try haul receive -u unix:sock
	is 5
	try dgram to-unix:sock text=hello
	is 0
	await_text got hello
}

@test "whatever is no socket is left alone" {
	echo precious >file
	mkdir dir
	ln -s file link
	make_stale stale
	ln -s stale link-to-stale
	ln -s nowhere dangling
	mkfifo fifo
	for path in file dir link dangling fifo link-to-stale; do
		for sub in listen "listen -u"; do
			# shellcheck disable=SC2086
			try haul $sub "unix:$path"
			is 5
			one_line err
			[[ -e $path || -L $path ]]
		done
	done
	says file precious
	[[ -L link && -L link-to-stale && -L dangling && -p fifo && -d dir ]]
	[[ -S stale && ! -e nowhere ]]
}

@test "a folder that is not there, or may not be written" {
	try haul listen unix:nowhere/sock
	is 5
	says err "haul listen: unix:nowhere/sock: no such file or directory"
}

@test "connecting to what is not there, stale, or no socket" {
	try haul connect unix:nowhere
	is 4
	says err "haul connect: unix:nowhere: no such file or directory"
	make_stale stale
	try haul connect unix:stale
	is 4
	says err "haul connect: unix:stale: connection refused"
	echo x >file
	try haul send unix:file
	is 4
	one_line err
}

@test "paths of 107, 108 and 200 bytes" {
	path=$(long_path 107)
	serve haul haul listen "unix:$path" >out
	says haul.port "$path"
	start haul2 haul connect "unix:$path" <<<hello
	await_all haul haul2
	says out hello
	for n in 108 200; do
		path=$(long_path "$n")
		for sub in listen connect; do
			try haul "$sub" "unix:$path"
			is 2
			one_line err
			has err 'too long'
		done
	done
	# Nothing was made under a cut name.
	[[ ! -e $(long_path 107) && ! -e $(long_path 108) ]]
}

@test "--socket-mode, and the umask without it" {
	for mode in 600 660 777; do
		serve haul haul listen --socket-mode "$mode" unix:sock
		[[ $(stat -c %a sock) == "$mode" ]]
		kill "${PID[haul]}"
		await haul
	done
	umask 027
	serve haul haul listen unix:sock
	[[ $(stat -c %a sock) == 750 ]]
	kill "${PID[haul]}"
	await haul
	serve haul haul receive -u --socket-mode 622 unix:sock
	[[ $(stat -c %a sock) == 622 ]]
}

@test "--socket-mode with what is no mode" {
	for mode in 888 0x1ff rw 1777 -1 ''; do
		try haul listen --socket-mode "$mode" unix:sock
		is 2
		one_line err
		[[ ! -e sock ]]
	done
}

@test "abstract names" {
	name=haul-test-$$-$RANDOM
	data 100000 in
	exec {ready}>ready
	serve haul haul listen --ready-fd "$ready" "unix:@$name" <in >got
	await_text ready .
	says ready "unix:@$name"
	grep -q "@$name\$" /proc/net/unix
	try haul listen "unix:@$name"
	is 5
	one_line err
	try haul connect "unix:@$name" <in
	is 0
	same out in
	await_all haul
	same got in
	try haul connect "unix:@$name"
	is 4
	says err "haul connect: unix:@$name: connection refused"
}

@test "a path that somebody else has taken over meanwhile is not removed" {
	serve first haul listen unix:sock
	rm sock
	serve second haul listen unix:sock >got
	kill "${PID[first]}"
	await first
	[[ -S sock ]]
	try haul connect unix:sock <<<hello
	is 0
	await_all second
	says got hello
}

@test "odd names: spaces, colons, control characters, a leading @ in a folder" {
	mkdir @dir
	for path in 'a b' 'a:b:1' ./@dir/s $'new\nline' -dash; do
		serve haul haul listen "unix:$path" >got
		[[ -S ./$path ]]
		try haul connect "unix:$path" <<<hello
		is 0
		await_all haul
		says got hello
	done
	try haul connect $'unix:nosuch\e[31m\nline'
	is 4
	one_line err
	! grep -q $'\e' err || fail "an escape sequence on stderr"
}
