# shellcheck shell=bash disable=SC2016,SC2034,SC2119,SC2120,SC2154
# Helpers of the tests of transfers; common.bash is loaded before.
#
# A transfer is two processes, send and recv; what they say is in send.err and
# recv.err, and what recv writes to stdout in the file received.

# receiver [OPTION...]: it listens on a free port of 127.0.0.1.
receiver() {
	unset via
	serve recv haul receive 127.0.0.1 0 "$@" >received
}

# through [-x VALUE]... [FAULT...]: what connects from now on goes through
# tamper.py to the receiver, also to those that are started later; or to the
# address in $onward.
through() {
	local - && set +T
	local -a opts=()
	while [[ ${1-} == -* ]]; do
		opts+=("$1" "$2")
		shift 2
	done
	rm -f count
	serve proxy "$PEERS/tamper.py" -c count "${opts[@]}" \
		"${onward:-port-file:recv.port}" "$@" || return
	via=$port
}

# sender [OPTION...] [FILE...]: to the receiver, with the stdin of the call.
sender() {
	start send haul send 127.0.0.1 "${via:-$port}" "$@"
}

# transfer [RECEIVE OPTION...] -- [SEND OPTION...] [FILE...]: from start to end;
# "via" stays.
transfer() {
	local - && set +T
	local -a opts=()
	local keep=${via-}
	while [[ $1 != -- ]]; do
		opts+=("$1")
		shift
	done
	receiver "${opts[@]}" || return
	[[ ! $keep ]] || via=$keep
	sender "${@:2}"
	finish
}

# finish [SECONDS]: wait for both; their statuses are $sent and $received.
finish() {
	await send "${1:-20}" || return
	sent=$status
	await recv "${1:-20}" || return
	received=$status
}

# are SENT RECEIVED: the statuses, each an extended regular expression.
are() {
	[[ $sent =~ ^($1)$ && $received =~ ^($2)$ ]] && return
	fail "statuses $sent and $received instead of $1 and $2" \
		"send: $(<send.err)" "recv: $(<recv.err)"
}

# nothing_written: nothing has been written to the receiver's stdout.
nothing_written() {
	[[ ! -s received ]] || fail "written: $(head -c 200 received | od -c)"
}

# lacks FILE PATTERN: no line of it matches the Perl expression.
lacks() {
	local found
	found=$(grep -aP -e "$2" "$1" | cat -v) || return 0
	fail "$1 says: $found"
}

# both_say REGEX: in both error outputs.
both_say() {
	has send.err "$@" && has recv.err "$@"
}

# digest FILE: as another program sees it.
digest() {
	local line
	line=$(xxhsum -H2 <"$1")
	echo "${line%% *}"
}

# summary FILE COUNT BYTES [DIGEST]: the last line of the file is a summary with
# "3 files" and so many bytes.
summary() {
	local bytes="$3 bytes"
	[[ $3 != 1 ]] || bytes="1 byte"
	has <(tail -n 1 "$1" | tr '\r' '\n' | tail -n 1) "^haul (send|receive): $2, $bytes in [0-9.]+ s,\
 [0-9.]+ ([KMGT]i)?B/s, xxh3-128 ${4:-[0-9a-f]{32\}}(, [0-9]+ bytes? (was|were)\
 there already)?\$"
}

# already FILE: the bytes that were there already, by the summary.
already() {
	local n
	n=$(tail -n 1 "$1" | sed -En \
		's/.*, ([0-9]+) bytes? (was|were) there already$/\1/p')
	echo "${n:-0}"
}

# listing DIR: type, permissions, time and name of all below and of itself.
listing() {
	(
		cd "$1" || exit
		find . -printf '%y %m %T@ %l %P\0' | sort -z | tr '\0\n' '\n?'
	)
}

# same_tree A B: names, types, contents, permissions, times.
same_tree() {
	local difference
	difference=$(diff -r --no-dereference "$1" "$2" 2>&1 &&
		diff <(listing "$1") <(listing "$2") 2>&1) ||
		fail "$1 and $2 differ:" "$difference"
}

# no_parts DIR: nothing unfinished is left there.
no_parts() {
	local found
	found=$(find "$1" -name '*haul-part*')
	[[ ! $found ]] || fail "left behind: $found"
}

# counts N: wait for the end of N connections through the proxy; the bytes that
# went up and down are in the arrays up and down, how each ended in ended.
counts() {
	local - && set +T
	local u d e end=$(($(now_ms) + 10000))
	until [[ -e count ]] && (($(wc -l <count) >= $1)); do
		(($(now_ms) < end)) || fail "not $1 connections:" \
			"$(cat count)" || return
		nap
	done
	up=() down=() ended=()
	while read -r u d e; do
		up+=("$u") down+=("$d") ended+=("$e")
	done <count
}

# few_files DIR: a tree that is soon sent and has every part of the protocol:
# an empty file, one of a few frames, a directory, a link.
few_files() {
	mkdir -p "$1/sub"
	: >"$1/empty"
	data 200000 "$1/large"
	data 70001 "$1/sub/middle"
	echo hello >"$1/sub/small"
	ln -s ../large "$1/sub/link"
}

# positions TOTAL N: about N byte counts below TOTAL, the first and last hundred
# of them close together.
positions() {
	local total=$1 n=$2 i
	local edge=$((n / 3)) inner
	inner=$((n - 2 * edge))
	for ((i = 0; i < edge; i++)); do
		echo $((100 * i / edge))
		echo $((total - 1 - 100 * i / edge))
	done
	for ((i = 1; i <= inner; i++)); do
		echo $((100 + (total - 200) * i / (inner + 1)))
	done
}

# unprivileged NAME haul ...: as start, but as nobody where the tests run as root,
# for whom permissions mean nothing.
unprivileged() {
	local - && set +T
	local -a as=()
	((EUID != 0)) || as=(setpriv --reuid 65534 --regid 65534 --clear-groups)
	if [[ ! -e haul ]]; then
		cp "$HAUL" haul
		chmod 755 haul
		chmod 777 .
	fi
	start "$1" "${as[@]}" ./haul "$3" "$HAUL_MODE" "${@:4}"
}

# on_tty NAME COLUMNS COMMAND...: on a terminal so wide; what it shows is in
# NAME.tty, and "exit N" in NAME.said. stdin is the null device.
on_tty() {
	local name=$1 columns=$2
	shift 2
	expand "$@"
	start "$name" guest kind tty in /dev/null out "$name.tty" -- \
		"$BASH" -c 'stty cols "$1" <&1; shift; exec "$@" 2>&1' bash \
		"$columns" "${CMD[@]}" >"$name.said"
}

# shown FILE: what was redrawn on one line, a line each, without the summary and
# escape sequences.
shown() {
	tr '\r' '\n' <"$1" | sed 's/\x1b\[[0-9;]*[A-Za-z]//g; /xxh3-128/d; /^ *$/d'
}
