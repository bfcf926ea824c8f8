#!/usr/bin/env bats
# How connections end: in order, with a reset, or because haul is ended.
# runs: first
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load lib/common

roles=(listen connect)
all_roles=(listen connect send "send -l" receive "receive -c")

@test "half-close: an answer that comes after our end of input is received" {
	data 100000 question
	data 70000 answer
	for role in "${roles[@]}"; do
		pair "$role" <question >out -- -o got recv-eof send=answer close
		await_all haul peer
		same got question
		same out answer
		says haul.err
	done
}

@test "half-close: the peer's end of file closes stdout, and we go on sending" {
	mkfifo pipe
	for role in "${roles[@]}"; do
		rm -f in ended
		hold in
		start reader "$BASH" -c 'cat <pipe >out; echo >ended'
		pair "$role" <in >pipe -- -o got text=hello shut recv-eof
		await_file ended
		says out hello
		runs haul
		echo late >&"$W"
		let_go
		await_all haul peer
		says got late
	done
}

@test "half-close: a silent second and a half does not end the session" {
	for role in "${roles[@]}"; do
		mkdir "$role"
		pair "$role" <<<question >"$role/out" -- -o "$role/got" \
			recv-eof sleep=1500 text=answer close
		PID["$role"]=${PID[haul]}
		unset 'PID[haul]'
	done
	await_all "${roles[@]}"
	for role in "${roles[@]}"; do
		says "$role/got" question
		says "$role/out" answer
	done
}

@test "--hold: the end of input does not half-close" {
	for role in "${roles[@]}"; do
		# A peer that ends as soon as it sees our end of file.
		pair "$role" --hold <<<question >out -- -o got recv=9 \
			sleep=300 text=answer shut recv-any
		await_all haul
		says out answer
	done
}

@test "--linger: leaves so long after the end of input, and not before" {
	for role in "${roles[@]}"; do
		pair "$role" --linger 1s <<<question >out -- recv-any \
			sleep=100 text=answer sleep=9000
		begin=$(now_ms)
		await haul
		took=$(($(now_ms) - begin))
		within "$took" 3000
		at_least "$took" 900
		says out answer
	done
}

@test "--linger: what is not written to stdout is told, never status 0" {
	# More than the pipe takes by splice, and by write.
	data 3000000 answer
	data 100000 less
	names=()
	for role in "${roles[@]}" copy-listen copy-connect; do
		if [[ $role == copy-* ]]; then
			export HAUL_NO_ZEROCOPY=1
			answer=less
		else
			answer=answer
		fi
		for steps in "sleep=9000" "shut sleep=9000"; do
			name=$role-${steps%% *}
			mkfifo "$name"
			# Open, and nobody reads.
			exec {stuck}<>"$name"
			# shellcheck disable=SC2086
			pair "${role#copy-}" --linger 1s </dev/null >"$name" -- \
				"send=$answer" $steps
			keep "$name"
			names+=("$name")
		done
	done
	for name in "${names[@]}"; do
		await "$name" 5
		is 6 "$name.err"
		one_line "$name.err"
	done
}

@test "drain: a slow peer that talks all the time gets 8 MiB whole" {
	data 8388608 in
	for role in listen connect send "send -l" "connect --send-only" \
		"listen --send-only"; do
		pair "$role" <in >out -- -b 65536 -o got talk=10 \
			slow=262144/4
		await_all haul peer
		same got in
	done
}

@test "drain: the peer reads only after we have long ended our input" {
	data 200000 in
	for role in listen connect send "connect --send-only"; do
		pair "$role" <in >out -- -o got text=x sleep=300 recv-eof
		await_all haul peer
		same got in
	done
}

@test "a reset after data: the data is delivered, status 7" {
	data 100000 in
	for role in listen connect receive "receive -c"; do
		hold fifo
		pair "$role" <fifo >out -- send=in acked reset
		await haul
		let_go
		rm fifo
		is 7 haul.err
		same out in
		has haul.err \
			"^haul ${role% -c}: 127.0.0.1 port [0-9]+: receiving: connection reset by peer\$"
		one_line haul.err
	done
}

@test "12 bytes and a reset right after accept: delivered, status 7" {
	steps=()
	for _ in {1..19}; do steps+=("text=twelve bytes" reset accept); done
	steps+=("text=twelve bytes" reset)
	for args in "connect -d" "receive --raw -c" \
		"receive --raw -c --retry-for 2s"; do
		# One that connected again would find nobody at the end.
		serve peer stream listen:127.0.0.1 "${steps[@]}"
		# shellcheck disable=SC2086
		expand haul $args 127.0.0.1 "$port"
		try "$BASH" -c 'for _ in {1..20}; do
				"$@" </dev/null && exit
				echo ": $?"
			done' - "${CMD[@]}"
		[[ $(sort -u out) == "twelve bytes: 7" ]]
		[[ $(wc -l <out) == 20 && $(wc -l <err) == 20 ]]
		await_all peer
	done
}

@test "a half-close, and then a reset while our input is idle: status 7" {
	hold held
	for role in "${roles[@]}"; do
		rm -f there go
		pair "$role" <held >out -- text=bye shut touch=there await=go \
			reset
		await_file there
		await_size out 3
		nap 0.1
		runs haul
		touch go
		begin=$(now_ms)
		await haul
		within $(($(now_ms) - begin)) 1000
		is 7 haul.err
		says out bye
		one_line haul.err
	done
}

@test "a reset without any data is not an end of file" {
	for role in "${roles[@]}" receive; do
		pair "$role" >out -- sleep=50 reset
		await haul
		is 7 haul.err
		one_line haul.err
	done
}

@test "an answer and a reset with our request unread: the answer is shown" {
	data 5000 request
	for role in "${roles[@]}"; do
		pair "$role" <request >out -- unread=5000 text=answer acked close
		await haul
		is 7 haul.err
		says out answer
		one_line haul.err
	done
}

@test "the peer stops reading and leaves in mid-stream: status 7" {
	data 4000000 in
	for role in listen connect send "send -l" "connect --send-only"; do
		pair "$role" <in >out -- recv=1000 close
		await haul
		is 7 haul.err
		one_line haul.err
		has haul.err "port [0-9]+: .*(reset by peer|broken pipe)"
	done
}

@test "the peer has closed before our last line: status 7" {
	for role in "${roles[@]}"; do
		hold fifo
		pair "$role" <fifo >out -- text=bye close touch=closed
		await_file closed
		await_size out 3
		echo late >&"$W"
		let_go
		rm fifo closed
		await haul
		is 7 haul.err
		one_line haul.err
	done
}

@test "SIGKILL in mid-stream: the peer sees a reset" {
	for role in "${all_roles[@]}"; do
		hold fifo
		rm -f there
		case $role in
		receive*) set -- text=hello touch=there recv-reset ;;
		*) set -- recv=5 touch=there recv-reset ;;
		esac
		pair "$role" <fifo >out -- "$@"
		printf hello >&"$W"
		await_file there
		[[ $role != receive* ]] || await_size out 5
		kill -KILL "${PID[haul]}"
		await peer
		is 0 peer.err
		await haul
		is 137 haul.err
		let_go
		rm fifo
	done
}

@test "SIGKILL while data flows: the peer sees a reset" {
	hold held
	data 4000000 in
	for role in listen connect send; do
		pair "$role" <in >out -- -b 16384 recv=100000 touch=there \
			sleep=1500 recv-reset
		await_file there
		rm there
		kill -KILL "${PID[haul]}"
		await peer
		is 0 peer.err
	done
	for role in listen connect receive; do
		pair "$role" <held >out -- send-reset
		await_size out 100000
		kill -KILL "${PID[haul]}"
		await peer
		is 0 peer.err
	done
}

@test "an end in order is no reset" {
	for role in "${all_roles[@]}"; do
		case $role in
		receive*) set -- text=hello shut recv-eof ;;
		*) set -- recv-eof close ;;
		esac
		pair "$role" <<<hello >out -- "$@"
		await_all haul peer
	done
}

@test "SIGINT, SIGTERM, SIGHUP: dies by the signal, and the peer sees a reset" {
	declare -A number=([INT]=2 [TERM]=15 [HUP]=1)
	hold held
	for role in "${all_roles[@]}"; do
		signals=(INT TERM HUP)
		[[ $role == listen || $role == connect ]] || signals=(TERM)
		for sig in "${signals[@]}"; do
			rm -f there go
			case $role in
			receive*) steps=(text=hello touch=there recv-reset) ;;
			*) steps=(recv=6 touch=there recv-reset) ;;
			esac
			WRAP=(start send "$sig,go" --)
			pair "$role" <held >out -- "${steps[@]}"
			echo hello >&"$W"
			await_file there
			[[ $role != receive* ]] || await_size out 5
			touch go
			await_all peer haul
			says haul.err "signal ${number[$sig]}"
		done
	done
}

@test "a signal while nobody has come yet, or while the peer does not answer" {
	for sub in listen receive; do
		rm -f go
		start haul start send TERM,go -- haul "$sub" --port-file p \
			127.0.0.1 0
		await_file p
		touch go
		await_all haul
		says haul.err "signal 15"
		rm p
	done
	# Retrying waits between two tries.
	rm go
	start haul start send INT,go -- haul connect --retry-for 20s -v \
		127.0.0.1 1
	nap 0.2
	touch go
	await_all haul
	has haul.err '^signal 2$'
}

@test "a signal while nothing can move" {
	data 8000000 in
	mkfifo stuck
	exec {stuck}<>stuck
	hold held
	for role in "${roles[@]}"; do
		pair "$role" <in >out -- sleep=9000
		keep "$role-peer-does-not-read"
		pair "$role" <held >stuck -- send-some sleep=9000
		keep "$role-nobody-reads-stdout"
		pair "$role" <in >stuck -- send-some sleep=9000
		keep "$role-both"
	done
	nap 0.7
	for name in {listen,connect}-{peer-does-not-read,nobody-reads-stdout,both}
	do
		kill -TERM "${PID[$name]}"
		begin=$(now_ms)
		await "$name"
		is 143 "$name.err"
		within $(($(now_ms) - begin)) 500
	done
}

@test "datagrams from an endless input: a signal and --timeout end it" {
	serve peer dgram bind:127.0.0.1 recv=1 touch=there sleep=20000 >said
	start haul haul connect -u 127.0.0.1 "$port" </dev/zero >out
	await_file there
	kill -TERM "${PID[haul]}"
	begin=$(now_ms)
	await haul
	within $(($(now_ms) - begin)) 1000
	is 143 haul.err
	try haul connect -u --timeout 300ms 127.0.0.1 "$port" </dev/zero
	is 6
	at_least "$took" 290
	within "$took" 1500
	one_line err
}

@test "a signal removes the path of our UNIX socket" {
	for sig in INT TERM HUP; do
		rm -f go p
		start haul start send "$sig,go" -- haul listen --port-file p \
			unix:sock
		await_file p
		[[ -S sock ]]
		touch go
		await_all haul
		has haul.err '^signal'
		[[ ! -e sock ]]
	done
}

@test "a hang-up that was ignored at the start (nohup) stays ignored" {
	rm -f p
	start haul start ignore HUP -- haul listen --port-file p 127.0.0.1 0 \
		>out
	await_file p
	kill -HUP "${PID[haul]}"
	nap 0.2
	start peer stream "connect:127.0.0.1:$(<p)" text=hello close
	await_all haul peer
	says out hello
}

@test "the reader of stdout has gone and the peer is idle: gone in a second" {
	hold held
	WRAP=(start unread go --)
	for role in listen connect receive "receive -c"; do
		rm -f go there
		pair "$role" <held -- text=hi touch=there recv-reset
		await_file there
		nap 0.1
		touch go
		await_all haul peer
		# Only what start.py says of it: no message.
		[[ $(wc -l <haul.err) == 2 ]]
		has haul.err '^exit 1$'
		within "$(sed -n 's/^after \(.*\) ms$/\1/p' haul.err)" 1300
	done
}

@test "the reader of stdout leaves in mid-stream: status 1, no message" {
	hold held
	mkfifo pipe
	for role in listen connect receive; do
		start reader "$BASH" -c 'head -c 100000 <pipe >out'
		pair "$role" <held >pipe -- send-reset
		await haul
		is 1 haul.err
		says haul.err
		await_all peer
	done
}

@test "the reader of stdout leaves with all there is: no failure, until more comes" {
	names=()
	for role in listen connect receive "receive -c"; do
		for more in "" text=x; do
			name=${role// /}$more
			mkfifo "$name"
			start reader head -c 5 "$name" >out
			# shellcheck disable=SC2086
			pair "$role" </dev/null >"$name" -- text=hello \
				await="$name-gone" sleep=50 $more shut recv-any
			await_all reader
			touch "$name-gone"
			says out hello
			keep "$name"
			names+=("$name")
		done
	done
	for name in "${names[@]}"; do
		await "$name" 5
		case $name in
		*=x) is 1 "$name.err" ;;
		*) is 0 "$name.err" ;;
		esac
		says "$name.err"
	done
}

@test "stdin and stdout are one socket: the peer's end of file goes through" {
	echo question >in
	for role in "${roles[@]}"; do
		rm -f ended
		# stdin gives nothing before stdout has ended.
		WRAP=(guest kind inetd await ended ended ended in in out out --)
		pair "$role" >said -- -o got text=hello touch=told shut \
			recv-eof
		await_file told
		begin=$(now_ms)
		await_file ended
		within $(($(now_ms) - begin)) 1000
		await_all haul peer
		has said '^exit 0$' '^flags kept$'
		says out hello
		says got question
		rm told
	done
}

@test "a full disk: /dev/full" {
	hold held
	for role in listen connect receive; do
		for variant in 0 1; do
			export HAUL_NO_ZEROCOPY=$variant
			((variant)) || unset HAUL_NO_ZEROCOPY
			pair "$role" >/dev/full <held -- text=hello \
				recv-reset
			await haul
			is 1 haul.err
			one_line haul.err
			has haul.err 'no space left on device$'
			await_all peer
		done
	done
}

@test "a full disk: a small file system" {
	in_space '
		mkdir small
		mount -t tmpfs -o size=256k tmpfs small
		data 1000000 in
		for variant in 0 1; do
			export HAUL_NO_ZEROCOPY=$variant
			((variant)) || unset HAUL_NO_ZEROCOPY
			for role in listen connect receive; do
				pair "$role" >small/out -- send=in recv-reset
				await haul
				is 1 haul.err
				one_line haul.err
				has haul.err "no space left on device$"
				await peer
				cmp -n "$(stat -c %s small/out)" small/out in
				rm small/out
			done
		done
	'
}

@test "a limit on the size of files is an error, not a signal" {
	data 300000 in
	WRAP=(start fsize 100000 --)
	for role in listen connect receive; do
		rm -f out
		pair "$role" >out -- send=in recv-any
		await haul
		is 1 haul.err
		one_line haul.err
		has haul.err 'file too large$'
		await peer
	done
}

@test "an input that cannot be read is an error, not an end of file" {
	mkdir dir
	: >file
	for role in listen connect send; do
		pair "$role" <dir >out -- recv-reset
		await haul
		is 1 haul.err
		one_line haul.err
		has haul.err 'is a directory$'
		await_all peer
		# Open for writing only.
		pair "$role" 0>file >out -- recv-reset
		await haul
		is 1 haul.err
		one_line haul.err
		await_all peer
	done
}

@test "an output that cannot be written is an error" {
	: >file
	hold held
	for role in listen connect receive; do
		pair "$role" <held 1<file -- text=hello recv-reset
		await haul
		is 1 haul.err
		one_line haul.err
		await_all peer
	done
}

@test "nobody reads stderr: no reason to end" {
	for role in "${roles[@]}"; do
		[[ $role != connect ]] || serve peer stream listen:127.0.0.1 \
			sleep=100 text=hello close
		case $role in
		listen)
			start haul "$BASH" -c 'exec "$@" 2> >(exit 0)' - \
				"$HAUL" listen "$HAUL_MODE" -v --port-file p \
				127.0.0.1 0 >out
			await_file p
			nap 0.1
			start peer stream "connect:127.0.0.1:$(<p)" text=hello \
				close
			;;
		connect)
			start haul "$BASH" -c 'exec "$@" 2> >(exit 0)' - \
				"$HAUL" connect "$HAUL_MODE" -v 127.0.0.1 \
				"$port" >out
			;;
		esac
		await_all haul
		says out hello
	done
}

@test "descriptors 0, 1, 2 missing at the start, in all combinations" {
	data 30000 question
	data 40000 answer
	for role in "${roles[@]}"; do
		for fds in "" 0 1 2 01 02 12 012; do
			WRAP=(start close "$fds" --)
			pair "$role" <question >out -- -o got send=answer \
				shut recv-eof
			await_all haul peer
			says haul.err
			case $fds in
			*0*) says got ;;
			*) same got question ;;
			esac
			case $fds in
			*1*) says out ;;
			*) same out answer ;;
			esac
		done
	done
}

@test "1100 descriptors open at the start" {
	data 200000 in
	WRAP=(start open 1100 --)
	for role in "${roles[@]}"; do
		pair "$role" <in >out -- -o got send=in shut recv-eof
		await_all haul peer
		same out in
		same got in
	done
}

@test "/dev/null or nothing as stdin: 40 MB come slowly and whole" {
	data 4000000 part
	for _ in {1..10}; do cat part; done >whole
	steps=()
	for _ in {1..10}; do steps+=(send=part sleep=20); done
	for role in listen connect "receive -c"; do
		pair "$role" </dev/null >out -- "${steps[@]}" shut recv-eof
		await_all haul peer
		same out whole
	done
	pair connect <&- >out -- "${steps[@]}" shut recv-eof
	await_all haul peer
	same out whole
}

@test "stopped and continued: nothing is lost" {
	data 8000000 in
	for role in listen connect; do
		pair "$role" <in >out -- -b 65536 -o got slow=262144/10 close
		for _ in {1..4}; do
			kill -STOP "${PID[haul]}"
			nap 0.05
			kill -CONT "${PID[haul]}"
			nap 0.02
		done
		await_all haul peer
		same got in
	done
}

@test "a signal each millisecond: nothing is lost" {
	data 16000000 in
	start recv start storm STOP,CONT,WINCH,CHLD,CONT,URG,5000 -- \
		haul receive --raw --port-file p 127.0.0.1 0 >out
	await_file p
	mkfifo pipe
	start feeder "$BASH" -c '
		exec >pipe
		for ((i = 0; i < 16; i++)); do
			tail -c "+$((i * 1000000 + 1))" in | head -c 1000000
			sleep 0.02
		done'
	start send start storm CHLD,STOP,CONT,WINCH,CONT,5000 -- \
		haul send --raw 127.0.0.1 "$(<p)" <pipe
	await_all send recv
	has recv.err '^exit 0$'
	has send.err '^exit 0$'
	same out in
}
