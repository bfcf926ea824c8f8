#!/usr/bin/env bats
# Transfers of directory trees: everything that is carried, and what is not.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load lib/common
load lib/transfer

# Everything that is carried.
a_tree() {
	mkdir -p "$1"/{empty,deep/a/b/c/d/e/f,.hidden,private,shut}
	: >"$1/nothing"
	data 300000 "$1/deep/a/b/c/d/e/f/large"
	echo run >"$1/deep/run"
	echo secret >"$1/private/secret"
	echo shut >"$1/shut/file"
	echo x >"$1/.hidden/.x"
	ln -s ../nothing "$1/deep/link"
	ln -s nowhere "$1/dangling"
	ln -s /etc/passwd "$1/absolute"
	ln -s deep "$1/to-dir"
	ln -s "$(printf '%04000d' 0)" "$1/long"
	ln -s $'new\nline\xff' "$1/"$'odd\n\xfe'
	chmod 755 "$1/deep/run"
	chmod 600 "$1/private/secret"
	chmod 700 "$1/private"
	chmod 444 "$1/shut/file"
	touch -d '2001-02-03 04:05:06.123456789' "$1/nothing"
	touch -d '1960-02-03 04:05:06.5 UTC' "$1/deep/run"
	touch -h -d '2011-02-03 04:05:06.987654321' "$1/dangling"
	touch -d '2005-02-03 04:05:06.000000007' "$1/empty" "$1/deep/a" "$1/shut"
	chmod 555 "$1/shut"
	touch -d '2006-02-03 04:05:06.700000000' "$1"
}

@test "a tree: names, contents, links, modes, times to the nanosecond" {
	mkdir D
	a_tree src
	(umask 077 && transfer -D D -- src && are 0 0)
	same_tree src D/src
	no_parts D
	# All of it is there already.
	transfer -D D -- src
	are 0 0
	same_tree src D/src
}

@test "a tree: nobody in particular can receive it as well" {
	mkdir D
	a_tree src
	chmod 777 D
	((EUID != 0)) || chown -R 65534:65534 src
	rm -rf recv.port
	unprivileged recv haul receive -D D --port-file recv.port 127.0.0.1 0
	await_ready recv
	unprivileged send haul send 127.0.0.1 "$(<recv.port)" src
	finish
	are 0 0
	same_tree src D/src
	# And again, although its directories may not be written to.
	rm -rf recv.port
	unprivileged recv haul receive -D D --port-file recv.port 127.0.0.1 0
	await_ready recv
	unprivileged send haul send 127.0.0.1 "$(<recv.port)" src
	finish
	are 0 0
}

@test "operands that are directories: how they are named" {
	mkdir -p x/src
	few_files x/src
	i=0
	for args in x/src x/src/ ./x//src/ "$PWD/x/src"; do
		mkdir "D$((++i))"
		transfer -D "D$i" -- "$args"
		are 0 0
		same_tree x/src "D$i/src"
		[[ $(ls -A "D$i") == src ]]
	done
	# Without a name in front.
	for args in x/src/. x/src/../src/.; do
		mkdir "D$((++i))"
		transfer -D "D$i" -- "$args"
		are 0 0
		diff -r --no-dereference x/src "D$i"
	done
	for args in "x/src ." "x/src/sub .." "x/src/sub ../."; do
		mkdir "D$((++i))"
		receiver -D "D$i"
		start send "$BASH" -c 'cd "$1" && exec "${@:2}"' bash \
			"${args% *}" "$HAUL" send "$HAUL_MODE" 127.0.0.1 \
			"$port" "${args#* }"
		finish
		are 0 0
		diff -r --no-dereference x/src "D$i"
	done
	# Never anything above the directory.
	[[ ! -e large && ! -e sub ]]
}

@test "an empty directory, alone and as ." {
	mkdir D E empty
	chmod 710 empty
	touch -d '2005-02-03 04:05:06.000000007' empty
	transfer -D D -- empty
	are 0 0
	same_tree empty D/empty
	transfer -D E -- empty/.
	are 0 0
	[[ ! $(ls -A E) ]]
}

@test "directories and files together" {
	mkdir D
	few_files one
	few_files two
	data 1000 three
	transfer -D D -- one three two
	are 0 0
	same_tree one D/one
	same_tree two D/two
	same three D/three
}

@test "sockets and FIFOs in a tree are skipped, with a note" {
	mkdir D
	few_files src
	mkfifo src/sub/pipe
	start listener haul listen --socket-mode 600 unix:src/sock
	await_file src/sock
	transfer -D D -- src
	are 0 0
	has send.err 'src/sock' 'src/sub/pipe'
	[[ $(wc -l <send.err) == 3 ]]
	[[ ! -e D/src/sock && ! -e D/src/sub/pipe ]]
	kill "${PID[listener]}"
	await listener
	rm -f src/sock src/sub/pipe
	diff -r --no-dereference src D/src
	[[ $(wc -l <recv.err) == 1 ]]
}

@test "devices in a tree are skipped, with a note" {
	in_space '
		. "$LIB/transfer.bash"
		mkdir -p D src/dev
		echo x >src/x
		: >src/null
		mount --bind /dev/null src/null
		transfer -D D -- src
		are 0 0
		has send.err "src/null"
		[[ ! -e D/src/null ]]
		says D/src/x x'
}

@test "partial files in a tree are skipped, with a note" {
	mkdir D
	few_files src
	echo part >src/sub/.x.haul-part
	transfer -D D -- src
	are 0 0
	has send.err 'src/sub/.x.haul-part'
	[[ ! -e D/src/sub/.x.haul-part ]]
	rm src/sub/.x.haul-part
	diff -r --no-dereference src D/src
}

@test "hard links arrive as files" {
	mkdir D src
	data 100000 src/a
	ln src/a src/b
	transfer -D D -- src
	are 0 0
	diff -r src D/src
}

@test "sparse files stay sparse" {
	mkdir D src
	truncate -s 20M src/hole
	truncate -s 10M src/middle
	data 100000 part
	dd if=part of=src/middle bs=64K seek=64 conv=notrunc status=none
	cp part src/end
	truncate -s 10M src/end
	truncate -s 10M src/start
	cat part >>src/start
	if (($(stat -c %b src/hole) > 100)); then
		skip "the file system has no sparse files"
	fi
	transfer -D D -- src
	are 0 0
	same_tree src D/src
	for file in hole middle end start; do
		portable || (($(stat -c %b "D/src/$file") <= $(stat -c %b "src/$file") + 64)) ||
			fail "$file: $(stat -c %b "D/src/$file") blocks"
	done
	# The same to -o, and to a stdout that is a file or a pipe.
	transfer -o got -- src/middle
	are 0 0
	same got src/middle
	portable || (($(stat -c %b got) <= $(stat -c %b src/middle) + 64))
	transfer -- src/middle
	are 0 0
	same received src/middle
	serve recv haul receive 127.0.0.1 0 > >(cat >received; : >ended)
	sender src/start
	finish
	are 0 0
	await_file ended
	same received src/start
	# The digest is that of the whole content all the same.
	has send.err "xxh3-128 $(digest src/start)"
}

@test "the order is stable: the same digest and the same lines every time" {
	# In memory, where the order in a directory is that of its making.
	in_space '
		. "$LIB/transfer.bash"
		mkdir tmp
		mount -t tmpfs none tmp
		cd tmp
		mkdir D E F src
		for i in {1..40}; do
			echo "$i" >"src/$i"
		done
		few_files src/a
		transfer -v -D D -- src
		are 0 0
		grep -o "src/.*: xxh3.*" recv.err >first
		[[ $(wc -l <first) == 44 ]]
		one=$(tail -n 1 send.err | grep -o "xxh3-128 [0-9a-f]*")
		mkdir new
		for i in {40..1}; do
			cp -p "src/$i" "new/$i"
		done
		cp -a src/a new/a
		touch -r src new
		mv src old
		mv new src
		[[ $(ls -U src) != $(ls -U old) ]]
		transfer -v -D E -- src
		are 0 0
		grep -o "src/.*: xxh3.*" recv.err >second
		diff first second
		[[ $(tail -n 1 send.err) == *"$one"* ]]
		[[ $(tail -n 1 recv.err) == *"$one"* ]]
		# One bit more, and it is another.
		echo 41 >src/40
		transfer -D F -- src
		are 0 0
		[[ $(tail -n 1 send.err) != *"$one"* ]]'
}

@test "a hundred levels of directories" {
	mkdir D
	path=src
	for i in {1..100}; do
		path+=/d$i
	done
	mkdir -p "$path"
	echo deep >"$path/file"
	transfer -D D -- src
	are 0 0
	same_tree src D/src
}

@test "few descriptors are enough, for new files and for those there" {
	mkdir D
	mkdir -p src/{1..100}/{1..3}
	for i in {1..100}; do
		echo "$i" >"src/$i/1/file"
		echo "$i" >"src/$i/2/file"
		echo "$i" >"src/$i/3/file"
	done
	few=("$BASH" -c 'ulimit -n 32; exec "$@"' bash "$HAUL")
	for i in 1 2; do
		rm -f recv.port
		start recv "${few[@]}" receive "$HAUL_MODE" 127.0.0.1 0 \
			--port-file recv.port -D D
		await_ready recv
		start send "${few[@]}" send "$HAUL_MODE" 127.0.0.1 \
			"$(<recv.port)" src
		finish
		are 0 0
		same_tree src D/src
	done
}
