#!/usr/bin/env bats
# Transfers with what does not speak the protocol: not a byte moves.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load lib/common
load lib/transfer

message="does not speak haul.s transfer protocol; use --raw"

# meet NAME ROLE STEP...: haul, with the options in opts and stdin from the file
# in, and a stream peer; what haul writes is in NAME.out, what the peer hears in
# NAME.heard.
meet() {
	local - && set +T
	local name=$1 output=$1.out
	local -a sub
	read -ra sub <<<"$2"
	shift 2
	case ${sub[*]} in
	send | "receive -c")
		serve "$name-peer" stream -o "$name.heard" listen:127.0.0.1 \
			"$@" || return
		start "$name" haul "${sub[@]}" "${opts[@]}" 127.0.0.1 \
			"$port" <in >"$output"
		;;
	*)
		serve "$name" haul "${sub[@]}" "${opts[@]}" 127.0.0.1 0 \
			<in >"$output" || return
		start "$name-peer" stream -o "$name.heard" \
			"connect:127.0.0.1:$port" "$@"
		;;
	esac
}

# estranged NAME...: each ends with 9 and the message, soon, and has neither
# written a byte to stdout nor, if it is a sender, to the peer.
estranged() {
	local name begin
	begin=$(now_ms)
	for name; do
		echo "$name" >&2
		await "$name"
		is 9 "$name.err"
		one_line "$name.err"
		has "$name.err" "$message"
		says "$name.out"
		await "$name-peer"
		[[ $name == receive* || ! -s $name.heard ]]
	done
	within $(($(now_ms) - begin)) 8000
}

@test "send: servers of other protocols; not a byte is sent" {
	data 300000 in
	printf 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n' >http
	printf '220 mail.example\r\n' >mail
	printf 'SSH-2.0-x\r\n' >ssh
	data 5000 random
	head -c 100000 /dev/zero >zeros
	# The beginning of a greeting that does not go on.
	printf '\x89haulR\r' >beginning
	names=()
	for role in send "send -l"; do
		i=0
		for answer in "send=http shut" "send=http" "send=mail" \
			"send=ssh" "send=random" "send=zeros" "send=beginning" \
			"send=beginning shut" "text=haul" "text=h shut"; do
			opts=()
			[[ $answer != send=beginning ]] || opts=(-w 500ms)
			names+=("$role-$((++i))")
			# shellcheck disable=SC2086
			meet "$role-$i" "$role" $answer recv-any
		done
	done
	estranged "${names[@]}"
}

@test "send: a peer that says nothing, or only what it hears" {
	data 300000 in
	opts=(-w 400ms)
	names=()
	for role in send "send -l"; do
		for step in recv-any echo; do
			names+=("$role-$step")
			meet "$role-$step" "$role" "$step"
		done
	done
	estranged "${names[@]}"
}

@test "send: a peer that leaves at once" {
	data 300000 in
	opts=()
	for role in send "send -l"; do
		for end in close reset; do
			meet haul "$role" "$end"
			await haul
			[[ $status == [79] ]]
			one_line haul.err
		done
	done
}

@test "send to nc.openbsd, nc.traditional and ncat" {
	in_space '
		. "$LIB/transfer.bash"
		data 300000 in
		# Wait until somebody listens on the port.
		await_port() {
			local hex end=$((SECONDS + 10))
			hex=$(printf %04X "$1")
			until grep -Eq ":$hex 0+:0000 0A " /proc/net/tcp; do
				((SECONDS < end))
				nap
			done
		}
		port=4000
		for peer in "nc.openbsd -l 127.0.0.1" "nc.traditional -l -p" \
			"ncat -l 127.0.0.1"; do
			port=$((port + 1))
			start peer $peer $port </dev/null >heard
			await_port "$port"
			try haul send -w 400ms 127.0.0.1 "$port" in
			await peer
			# One that ends at the end of its input greets nobody.
			[[ $status == [01] && ! -s heard ]]
			has err "^haul send: .*(transfer protocol; use --raw|ended|closed|reset)"
		done'
}

@test "receive: plain streams; nothing is written" {
	: >in
	mkdir D
	data 100000 random
	printf 'GET / HTTP/1.1\r\nHost: x\r\n\r\n' >http
	head -c 100000 /dev/zero >zeros
	echo hello >hello
	printf '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' >tls
	names=()
	for role in receive "receive -c"; do
		i=0
		for words in send=random send=http "send=zeros shut" \
			send=tls "send=hello" "text=h shut"; do
			for where in "" "-o got" "-D D"; do
				# Each, and all in every place with one of them.
				[[ $words == *hello || ! $where ]] || continue
				read -ra opts <<<"$where"
				names+=("$role-$((++i))")
				# shellcheck disable=SC2086
				meet "$role-$i" "$role" $words recv-any
			done
		done
	done
	estranged "${names[@]}"
	[[ ! -e got && ! $(ls -A D) ]]
	no_parts .
}

@test "receive: a peer that says nothing" {
	opts=(-w 400ms)
	: >in
	for role in receive "receive -c"; do
		meet "$role" "$role" recv-any
	done
	estranged receive "receive -c"
}

@test "receive: a peer that leaves at once" {
	: >in
	opts=()
	for role in receive "receive -c"; do
		for end in "shut recv-any" close reset; do
			# shellcheck disable=SC2086
			meet haul "$role" $end
			await haul
			[[ $status == [79] ]]
			one_line haul.err
			says haul.out
		done
	done
}

@test "send to receive --raw, and the other way round" {
	data 300000 in
	receiver --raw
	sender -w 400ms in
	finish
	are 9 7
	has send.err "$message"
	nothing_written
	receiver
	sender --raw in
	finish
	are '[79]' 9
	has recv.err "$message"
	nothing_written
}

@test "two senders, two receivers" {
	data 300000 in
	serve one haul send -l -w 400ms 127.0.0.1 0 in
	try haul send -w 400ms 127.0.0.1 "$port" in
	[[ $status == [79] ]]
	await one
	# Who waits longer sees the other one leave.
	[[ $status == [79] ]]
	has <(cat err one.err) "$message"
	serve one haul receive -w 2s 127.0.0.1 0 >received
	try haul receive -c -w 2s 127.0.0.1 "$port"
	is 9
	await one
	is 9 one.err
	nothing_written
	within "$took" 2000
}

@test "receive -k: strangers do not end it" {
	mkdir D
	data 100000 random
	few_files src
	receiver -k -D D
	for words in send=random "text=hello shut" close reset shut; do
		start peer stream "connect:127.0.0.1:$port" "$words"
		await peer
	done
	sender src
	await_all send
	same_tree src D/src
	runs recv
	kill "${PID[recv]}"
	await recv
	is 143 recv.err
	has recv.err "$message"
}
