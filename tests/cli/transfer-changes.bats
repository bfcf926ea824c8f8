#!/usr/bin/env bats
# Files that cannot be read, or are not what they were: told by name, and the
# others are delivered.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load lib/common
load lib/transfer

# meanwhile CHANGE: send src with a large file to D; when some of it is on its
# way, CHANGE is done. The sender cannot have read all of it by then.
meanwhile() {
	rm -rf D src mark go
	mkdir D src
	echo first >src/a
	data 25000000 src/large
	echo last >src/z
	receiver -D D
	through -n 1 -m mark -g go hold=up:500000
	sender src
	await_file mark
	eval "$1"
	touch go
	finish
	unset via
	says D/src/a first
	says D/src/z last
}

@test "a file that grows, shrinks or is written while it is sent" {
	for change in 'echo more >>src/large' 'truncate -s 24999999 src/large' \
		': >src/large' 'truncate -s 600M src/large' \
		'printf xyz | dd of=src/large bs=1 seek=24999990 conv=notrunc status=none'
	do
		meanwhile "$change"
		are 1 9 || fail "$change"
		has send.err 'src/large'
		has recv.err 'large'
		[[ ! -e D/src/large ]] || fail "$change: D/src/large"
		# Repeated, it is whole.
		transfer -D D -- src
		are 0 0
		same_tree src D/src
		no_parts D
	done
}

@test "a file that is replaced by another is sent as it was" {
	meanwhile 'cp -p src/large old; echo new >new; mv new src/large'
	# Who has it open reads the old one.
	[[ $sent == 0 ]] || are 1 9
	[[ $sent != 0 ]] || same D/src/large old
	[[ $sent == 0 || ! -e D/src/large ]]
}

@test "files that vanish from a tree while it is sent" {
	meanwhile 'rm src/large'
	[[ $sent == 0 ]] || are 1 9
}

@test "one file that grows" {
	data 25000000 in
	for where in "-o got" ""; do
		rm -f mark go
		# shellcheck disable=SC2086
		receiver $where
		through -n 1 -m mark -g go hold=up:500000
		sender in
		await_file mark
		echo more >>in
		touch go
		finish
		are 1 9
		one_line send.err
		one_line recv.err
		has send.err 'in: '
		[[ ! -e got ]]
	done
}

@test "unreadable files and directories among many" {
	((EUID == 0)) || chmod 755 .
	mkdir D
	few_files src
	mkdir src/closed src/b
	echo x >src/closed/x
	echo secret >src/b/secret
	echo fine >src/b/fine
	echo operand >operand
	chmod 000 src/closed src/b/secret operand
	receiver -D D
	unprivileged send haul send 127.0.0.1 "$port" src operand
	finish
	chmod 700 src/closed src/b/secret operand
	are 1 9
	for name in src/closed src/b/secret operand; do
		has send.err "^haul send: $name: .*permission denied"
	done
	says D/src/b/fine fine
	[[ ! -e D/src/b/secret && ! -e D/operand && ! -e D/src/closed/x ]]
	rm -rf src/closed src/b/secret D/src/closed
	diff -r --no-dereference src D/src
	no_parts D
}

@test "one unreadable file" {
	((EUID == 0)) || chmod 755 .
	echo secret >secret
	chmod 000 secret
	for where in "" "-o got"; do
		# shellcheck disable=SC2086
		receiver $where
		unprivileged send haul send 127.0.0.1 "$port" secret
		await send
		is 1 send.err
		has send.err 'secret: .*permission denied'
		# It need not have connected for that.
		if runs recv && [[ $(wc -l <recv.err) == 0 ]]; then
			nap 0.2
			kill "${PID[recv]}" 2>/dev/null || :
			await recv
		else
			await recv
			is 9 recv.err
		fi
		[[ ! -e got ]]
		nothing_written
	done
	chmod 600 secret
}

@test "a file that cannot be read to its end" {
	mkdir D
	echo fine >fine
	ln -s /proc/self/mem mem
	transfer -D D -- mem fine
	are 1 9
	has send.err 'mem: .*(input/output error|i/o error)'
	says D/fine fine
	[[ ! -e D/mem ]]
	no_parts D
}

@test "stdin that cannot be read: 1, and the receiver learns it" {
	mkdir dir
	receiver -o got
	sender <dir
	finish
	are 1 9
	one_line send.err
	one_line recv.err
	[[ ! -e got ]]
}

@test "a sender that is ended: the receiver knows" {
	for signal in INT TERM HUP KILL; do
		hold pipe
		receiver -o got
		# (A shell starts them with SIGINT ignored.)
		start send start -- haul send 127.0.0.1 "$port" <pipe
		echo hello >&"$W"
		await_file .got.haul-part
		kill -"$signal" "${PID[send]}"
		finish
		are "$((128 + $(kill -l "$signal")))" 7
		[[ ! -e got ]]
		let_go
		rm -f pipe .got*
	done
}

@test "a receiver that is ended: the sender knows" {
	for signal in INT TERM HUP KILL; do
		hold pipe
		rm -f recv.port
		start recv start -- haul receive --port-file recv.port \
			-o got 127.0.0.1 0
		await_ready recv
		port=$(<recv.port)
		sender <pipe
		echo hello >&"$W"
		await_file .got.haul-part
		kill -"$signal" "${PID[recv]}"
		finish
		are 7 "$((128 + $(kill -l "$signal")))"
		[[ ! -e got ]]
		let_go
		rm -f pipe .got*
	done
}
