# shellcheck shell=bash disable=SC2034
# Helpers of the command line tests. Every test runs in its own empty folder.
#
# HAUL       the program under test (default: build/haul)
# HAUL_MODE  --nonblocking (default) or --blocking, given to every run
# PORTABLE   1: it was built without what only Linux has
#
# Nothing here waits by sleeping for a guessed time, and nothing waits for ever:
# a wait polls for what it waits for and fails at its limit.

bats_require_minimum_version 1.5.0
export LC_ALL=C
set -o pipefail

LIB=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
PEERS=$LIB/../../peers
HAUL=${HAUL:-$LIB/../../../build/haul}
[[ $HAUL == /* ]] || HAUL=$PWD/$HAUL
HAUL_MODE=${HAUL_MODE:---nonblocking}
export HAUL HAUL_MODE LIB

declare -gA PID=()
declare -ga CMD=() WRAP=()

# A pipe that never has anything: "read -t" on it is a nap without a fork.
exec {NAP}<> <(:)

# The writing end that "hold" keeps open.
W=999

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	exec </dev/null
}

teardown() {
	stop_all
}

# End whatever was started here and still runs.
stop_all() {
	local -a left
	mapfile -t left < <(jobs -p)
	kill -KILL "${left[@]}" 2>/dev/null || :
	wait 2>/dev/null || :
	PID=()
}

nap() {
	read -rt "${1:-0.01}" -u "$NAP" || :
}

# Milliseconds of the clock.
now_ms() {
	local us=${EPOCHREALTIME/./}
	echo $((us / 1000))
}

# Say why and fail.
fail() {
	printf '%s\n' "$@" >&2
	return 1
}

# Some functions begin with "local - && set +T": bats has a trap for every
# command, to know where a test fails, and in these it would cost too much.

# --- running ----------------------------------------------------------------

# Fill CMD: "haul SUB ..." with the mode, "stream ..." and the other peers with
# their path, anything else as it is.
expand() {
	case $1 in
	haul) CMD=("$HAUL" "$2" "$HAUL_MODE" "${@:3}") ;;
	stream | dgram | guest | start) CMD=("$PEERS/$1.py" "${@:2}") ;;
	*) CMD=("$@") ;;
	esac
	local i
	# A command for guest and start: what stands behind their "--".
	for ((i = 1; i < ${#CMD[@]} - 2; i++)); do
		if [[ ${CMD[i]} == -- && ${CMD[i + 1]} == haul ]]; then
			CMD=("${CMD[@]:0:i+1}" "$HAUL" "${CMD[i + 2]}"
				"$HAUL_MODE" "${CMD[@]:i+3}")
			break
		fi
	done
}

# start NAME COMMAND...: run in the background with the stdin and stdout of the
# call and its stderr in NAME.err; PID[NAME] is its process.
start() {
	local - && set +T
	local name=$1
	expand "${@:2}"
	{
		"${CMD[@]}" <&0 3>&- {NAP}>&- {W}>&- &
	} 2>"$name.err"
	PID[$name]=$!
}

# As start, but the command listens: return when it is ready, with its port (or
# path) in $port.
serve() {
	local - && set +T
	local name=$1
	rm -f "$name.port"
	case $2 in
	haul) set -- "$name" haul "$3" --port-file "$name.port" "${@:4}" ;;
	*) set -- "$name" "$2" -p "$name.port" "${@:3}" ;;
	esac
	start "$@"
	await_ready "$name"
	port=$(<"$name.port")
}

await_ready() {
	local name=$1 end=$((SECONDS + 10))
	until [[ -s $name.port ]]; do
		if ! kill -0 "${PID[$name]}" 2>/dev/null; then
			fail "$name ended before it was ready:" "$(<"$name.err")"
			return
		fi
		((SECONDS < end)) || fail "$name is not ready" || return
		nap
	done
}

# Is the process still there (and not a zombie)?
runs() {
	local stat
	{ read -r stat <"/proc/${PID[$1]}/stat"; } 2>/dev/null || return
	stat=${stat##*) }
	[[ ${stat:0:1} != [ZX] ]]
}

# await NAME [SECONDS]: wait for the end of it; its status is in $status.
await() {
	local - && set +T
	local name=$1 end=$(($(now_ms) + ${2:-15} * 1000))
	while runs "$name"; do
		if (($(now_ms) > end)); then
			fail "$name does not end; it said:" "$(<"$name.err")"
			return
		fi
		nap
	done
	status=0
	wait "${PID[$name]}" || status=$?
	unset "PID[$name]"
}

# await_all NAME...: each must end with status 0.
await_all() {
	local name
	for name; do
		await "$name" || return
		((status == 0)) || fail "$name ended with $status:" \
			"$(<"$name.err")" || return
	done
}

# pair ROLE [OPTION...] -- [PEER OPTION...] STEP...: haul in that role, on the
# stdin and stdout of this call, and a stream peer at its other end; they are
# the processes haul and peer. ROLE: listen, connect, send, receive, and
# "send -l" and "receive -c", which swap who listens. send and receive run with
# --raw, as the peer sends and takes plain bytes. WRAP is put in front of haul:
# WRAP=(start close 0 --).
pair() {
	local - && set +T
	local -a role opts=() words=()
	read -ra role <<<"$1"
	shift
	[[ ${role[0]} != @(send|receive) ]] || opts+=(--raw)
	while [[ $1 != -- ]]; do
		opts+=("$1")
		shift
	done
	shift
	while [[ $1 == -* ]]; do
		words+=("$1" "$2")
		shift 2
	done
	case ${role[*]} in
	connect* | send | "receive -c")
		serve peer stream "${words[@]}" listen:127.0.0.1 "$@" \
			</dev/null >/dev/null || return
		start haul "${WRAP[@]}" haul "${role[@]}" "${opts[@]}" \
			127.0.0.1 "$port"
		;;
	*)
		rm -f haul.port
		start haul "${WRAP[@]}" haul "${role[@]}" "${opts[@]}" \
			--port-file haul.port 127.0.0.1 0
		await_ready haul || return
		port=$(<haul.port)
		start peer stream "${words[@]}" "connect:127.0.0.1:$port" "$@" \
			</dev/null >/dev/null
		;;
	esac
}

# keep NAME: what pair has started is called NAME and NAME-peer from now on, so
# that further pairs can run beside it.
keep() {
	PID["$1"]=${PID[haul]}
	PID["$1-peer"]=${PID[peer]}
	unset 'PID[haul]' 'PID[peer]'
	mv haul.err "$1.err"
	mv peer.err "$1-peer.err"
}

# try COMMAND...: run it to its end, at most LIMIT (20) seconds; the results are
# $status, the file err, the time in $took (ms), and stdout in the file out
# (or where the call redirects it, with -r).
try() {
	local - && set +T
	local begin raw=
	[[ $1 == -r ]] && raw=y && shift
	expand "$@"
	begin=$(now_ms)
	status=0
	if [[ $raw ]]; then
		timeout -k 1 "${LIMIT:-20}" "${CMD[@]}" 2>err 3>&- {W}>&- ||
			status=$?
	else
		timeout -k 1 "${LIMIT:-20}" "${CMD[@]}" >out 2>err 3>&- {W}>&- ||
			status=$?
	fi
	took=$(($(now_ms) - begin))
}

# --- checks -----------------------------------------------------------------

# is STATUS: of the last try or await.
is() {
	((status == $1)) && return
	fail "status $status instead of $1" "stderr: $(<"${2:-err}")"
}

# says FILE LINE...: the file is exactly these lines (none: it is empty).
says() {
	local file=$1 want=
	shift
	(($#)) && want=$(printf '%s\n' "$@")
	[[ $(<"$file") == "$want" ]] && return
	fail "$file says:" "$(<"$file")" "and not:" "$want"
}

# has FILE REGEX...: the file matches each extended regular expression.
has() {
	local file=$1 re
	shift
	for re; do
		grep -Eq -- "$re" "$file" || fail "$file does not say '$re':" \
			"$(<"$file")" || return
	done
}

# one_line FILE: one line, which has the form of our errors.
one_line() {
	[[ $(wc -l <"$1") == 1 ]] || fail "not one line:" "$(<"$1")" || return
	has "$1" '^haul [a-z]+: .+'
}

# same A B: equal bytes.
same() {
	local a b
	cmp -s "$1" "$2" && return
	a=$(sha256sum <"$1") b=$(sha256sum <"$2")
	fail "$1 ($(wc -c <"$1") bytes, ${a%% *}) is not" \
		"$2 ($(wc -c <"$2") bytes, ${b%% *})" \
		"$(cmp "$1" "$2" 2>&1)"
}

# within MS LIMIT: a time bound.
# A build with a sanitizer has three times as long.
within() {
	(($1 <= $2)) || { sanitized && (($1 <= 3 * $2)); } ||
		fail "took $1 ms, more than $2"
}

# Are checks of memory and time not for this build? (Sanitizers need more.)
sanitized() {
	grep -aqE '__(asan|tsan|msan)_init' "$HAUL"
}

at_least() {
	(($1 >= $2)) || fail "took $1 ms, less than $2"
}

# --- files, times, descriptors ----------------------------------------------

# data SIZE FILE: random bytes.
data() {
	head -c "$1" /dev/urandom >"$2"
}

# hold FIFO: make a named pipe that stays open for writing (by >&"$W") until
# let_go; no command started here inherits it.
hold() {
	mkfifo "$1"
	exec {W}<>"$1"
}

let_go() {
	exec {W}>&-
}

# slice FILE OFFSET SIZE: a part of it.
slice() {
	tail -c "+$(($2 + 1))" "$1" 2>/dev/null | head -c "$3" || :
}

await_file() {
	local - && set +T
	local end=$(($(now_ms) + ${2:-10} * 1000))
	until [[ -e $1 ]]; do
		(($(now_ms) < end)) || fail "$1 does not come" || return
		nap
	done
}

# await_text FILE REGEX [SECONDS]
await_text() {
	local - && set +T
	local end=$(($(now_ms) + ${3:-10} * 1000))
	until grep -Eq -- "$2" "$1" 2>/dev/null; do
		(($(now_ms) < end)) || fail "$1 does not come to say '$2':" \
			"$(<"$1")" || return
		nap
	done
}

# await_count FILE REGEX N [SECONDS]: until so many lines match.
await_count() {
	local - && set +T
	local end=$(($(now_ms) + ${4:-10} * 1000))
	until (($(grep -c -- "$2" "$1") >= $3)); do
		(($(now_ms) < end)) || fail "$1 does not say '$2' $3 times:" \
			"$(<"$1")" || return
		nap
	done
}

# connected N, ended N: until the server (haul, with -v) has had N clients, or
# has told the end of N sessions.
connected() {
	await_count haul.err 'connection from' "$1"
}

ended() {
	await_count haul.err 'has ended' "$1" 3
}

# client NAME STEP...: a stream peer of the server; what it gets is in NAME.got.
client() {
	start "$1" stream -o "$1.got" "connect:127.0.0.1:$port" "${@:2}"
}

ends_by_term() {
	kill "${PID[haul]}"
	await haul
	is 143 haul.err
}

# await_size FILE BYTES [SECONDS]
await_size() {
	local - && set +T
	local size end=$(($(now_ms) + ${3:-10} * 1000))
	until size=$(stat -c %s "$1" 2>/dev/null || echo 0); ((size >= $2)); do
		(($(now_ms) < end)) || fail "$1 stays at $size" || return
		nap
	done
}

# await_calm NAME: until the process has used no CPU time for 150 ms.
await_calm() {
	local - && set +T
	local end=$(($(now_ms) + 10000)) before=-1 after
	after=$(cpu_ms "$1")
	while ((before != after)); do
		(($(now_ms) < end)) || fail "$1 is not calm" || return
		before=$after
		nap 0.15
		after=$(cpu_ms "$1")
	done
}

# stays_calm NAME SECONDS: it uses no CPU time. The thread sanitizer has a thread
# of its own that wakes up ten times a second, which makes a clock tick at last.
stays_calm() {
	local before used most=0
	! sanitized || most=10
	before=$(cpu_ms "$1")
	nap "$2"
	used=$(($(cpu_ms "$1") - before))
	((used <= most)) || fail "$1 has used $used ms of CPU time"
}

# cpu_ms NAME: CPU time of a process, user and system.
cpu_ms() {
	local stat
	stat=$(<"/proc/${PID[$1]}/stat") || return
	# shellcheck disable=SC2086
	set -- ${stat##*) }
	echo $(((${12} + ${13}) * 10))
}

# Is this the build without what only Linux has?
portable() {
	[[ ${PORTABLE-} == 1 ]]
}

# Skip where the machine has no ::1.
need_ipv6() {
	grep -qs ' lo$' /proc/net/if_inet6 ||
		skip "no IPv6 on the loopback interface"
}

# in_space SCRIPT: run it in network and mount namespaces of its own, with lo up
# and this file loaded. Root needs no user namespace for it, and may not get one
# in a chroot.
in_space() {
	local spaces=-rnm
	((EUID != 0)) || spaces=-nm
	unshare "$spaces" true 2>/dev/null ||
		skip "no namespaces (unshare $spaces)"
	# shellcheck disable=SC2016
	timeout -k 1 "${LIMIT:-30}" unshare "$spaces" "$BASH" -c '
		set -eE
		trap '\''echo "failed: $BASH_COMMAND (line $LINENO)" >&2'\'' ERR
		bats_require_minimum_version() { :; }
		. "$LIB/common.bash"
		trap stop_all EXIT
		ip link set lo up
		'"$1" 3>&-
}
