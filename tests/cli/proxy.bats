#!/usr/bin/env bats
# Connecting through proxies: microsocks, dante, tinyproxy and squid.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154
# quick: no

load lib/common
load lib/proxies

teardown() {
	stop_all
	squid_clean
}

# target STEP...: a stream peer; its port is in $target.
target() {
	serve target stream -o heard listen:127.0.0.1 "$@"
	target=$port
}

# passes URL [HOST]: a question and an answer through it. (Not every proxy lives
# on when a client half-closes, so haul does not.)
passes() {
	echo "$1" >&2
	target recv=9 text='the answer\n' close
	try haul connect --hold --proxy "$1" "${2:-127.0.0.1}" "$target" \
		<<<question
	is 0
	says err
	says out "the answer"
	await_all target
	says heard question
}

# refuses URL HOST PORT REASON: status 4, and the reason behind the target and
# the proxy; stdout is empty.
refuses() {
	echo "$*" >&2
	try haul connect --proxy "$1" "$2" "$3" </dev/null
	is 4
	one_line err
	has err "^haul connect: $2 port $3: proxy 127\.0\.0\.1 port [0-9]+: $4\$"
	says out
	! grep -q s3cret err || fail "a password is shown"
}

# transfers: a megabyte each way through the proxy $url.
transfers() {
	data 1000000 in
	serve receiver haul receive -q 127.0.0.1 0 >got
	try haul send -q --proxy "$url" 127.0.0.1 "$port" <in
	is 0
	says err
	await_all receiver
	same got in
	serve sender haul send -q -l 127.0.0.1 0 <in
	try -r haul receive -q -c --proxy "$url" 127.0.0.1 "$port" >got
	is 0
	says err
	await_all sender
	same got in
}

@test "microsocks: SOCKS 5, with and without a login" {
	need microsocks
	up microsocks microsocks_open
	local proxy=127.0.0.1:$port
	passes "socks5://$proxy"
	passes "socks5h://$proxy"
	passes "socks5h://$proxy/" localhost
	passes "socks5h://anybody@$proxy"
	refuses "socks5://$proxy" 127.0.0.1 1 "connection refused"
	refuses "socks5h://$proxy" nowhere.invalid 80 "[a-z].*"
	url=socks5h://$proxy transfers
}

@test "microsocks: a login from the URL and from the environment" {
	need microsocks
	up microsocks microsocks_login
	local proxy=127.0.0.1:$port
	passes "socks5://me:s3cret:%2F@$proxy"
	refuses "socks5://$proxy" 127.0.0.1 1 "wants a user and password"
	refuses "socks5://me:s3cret@$proxy" 127.0.0.1 1 \
		"user or password refused"
	export HAUL_PROXY_AUTH=me:s3cret:/
	passes "socks5h://$proxy" localhost
	refuses "socks5://me@$proxy" 127.0.0.1 1 "user or password refused"
	url=socks5h://$proxy transfers
	unset HAUL_PROXY_AUTH
	echo "socks5h://me:s3cret:%2F@$proxy" >url
	passes @url localhost
}

@test "a URL in a file that is not there, or empty" {
	try haul connect --proxy @none 127.0.0.1 1
	is 1
	one_line err
	has err 'none: --proxy: no such file'
	: >empty
	try haul connect --proxy @empty 127.0.0.1 1
	is 2
	one_line err
}

@test "dante: SOCKS 4 and 5, half-closes, and what its rules say" {
	need danted
	up danted danted_open
	local proxy=127.0.0.1:$port scheme
	for scheme in socks4 socks5 socks5h; do
		passes "$scheme://$proxy"
		passes "$scheme://$proxy" localhost
		# Half-closes pass in both directions.
		target recv-eof text='the answer\n' shut
		try haul connect --proxy "$scheme://$proxy" 127.0.0.1 \
			"$target" <<<question
		is 0
		says err
		says out "the answer"
		await_all target
		says heard question
	done
	refuses "socks5://$proxy" 127.0.0.9 1 "not allowed by its rules"
	refuses "socks5h://$proxy" 127.0.0.1 1 "connection refused"
	refuses "socks4://$proxy" 127.0.0.9 1 "refused, or could not connect"
	refuses "socks4a://$proxy" nowhere.invalid 1 \
		"refused, or could not connect"
	url=socks4://me@$proxy transfers
	url=socks5://$proxy transfers
}

@test "tinyproxy: CONNECT, with a login" {
	need tinyproxy
	target recv=9 text='the answer\n' close
	up tinyproxy tinyproxy_login "$target"
	local proxy=127.0.0.1:$port
	try haul connect --hold --proxy "http://me:s3cret@$proxy" localhost \
		"$target" <<<question
	is 0
	says err
	says out "the answer"
	await_all target
	refuses "http://$proxy" 127.0.0.1 "$target" "407 Proxy Auth.*"
	refuses "http://me:s3cret@$proxy" 127.0.0.1 1 "403 [A-Z].*"
	HAUL_PROXY_AUTH=me:s3cret refuses "http://$proxy" 127.0.0.1 \
		"$target" "5[0-9][0-9] [A-Z].*"
}

@test "squid: CONNECT, with a login" {
	need squid
	up squid squid_login
	local proxy=127.0.0.1:$port
	passes "http://me:s3cret@$proxy"
	refuses "http://$proxy" 127.0.0.1 "$target" \
		"407 Proxy Authentication Required"
	refuses "http://me:s3cret@$proxy" 127.0.0.1 81 "403 Forbidden"
	refuses "http://me:s3cret@$proxy" 127.0.0.1 1 \
		"503 Service Unavailable"
	export HAUL_PROXY_AUTH=me:s3cret
	passes "http://$proxy" localhost
	url=http://$proxy transfers
}

@test "--forward through a proxy" {
	need microsocks
	up microsocks microsocks_open
	local proxy=127.0.0.1:$port
	target recv=9 text='the answer\n' close
	serve forward haul listen -k --forward "127.0.0.1:$target" \
		--proxy "socks5h://$proxy" 127.0.0.1 0
	try haul connect --hold 127.0.0.1 "$port" <<<question
	is 0
	says out "the answer"
	await_all target
	says heard question
}

@test "a proxy that is not there, says nothing, or is none" {
	for sub in connect "send --raw"; do
		# shellcheck disable=SC2086
		try haul $sub --proxy socks5://127.0.0.1:1 127.0.0.1 80 \
			</dev/null
		is 4
		says err "haul ${sub%% *}: proxy 127.0.0.1 port 1: connection refused"
	done
	try haul connect -n --proxy socks5://nowhere.invalid 127.0.0.1 80
	is 3
	has err "proxy nowhere\.invalid port 1080: "
	serve silent stream listen:127.0.0.1 recv-eof
	try haul connect --connect-timeout 300ms \
		--proxy "http://127.0.0.1:$port" 127.0.0.1 80 </dev/null
	is 6
	one_line err
	within "$took" 2000
	serve mail stream listen:127.0.0.1 text='220 mail.example\r\n' recv-any
	refuses "http://127.0.0.1:$port" 127.0.0.1 80 \
		"the answer is not HTTP"
	serve mail stream listen:127.0.0.1 text='220 mail.example\r\n' recv-any
	refuses "socks5://127.0.0.1:$port" 127.0.0.1 80 \
		"the answer is not SOCKS version 5"
	serve mail stream listen:127.0.0.1 close
	refuses "socks4://127.0.0.1:$port" 127.0.0.1 80 \
		"(closed the connection|connection reset by peer)"
}

@test "a URL that is none: status 2, and no password is shown" {
	for url in proxy ftp://proxy socks5://u:s3cret@ http://h:0 \
		http://u:s3cret@h/x socks4://u:s3cret@h http://[::1; do
		try haul connect --proxy "$url" 127.0.0.1 80 </dev/null
		is 2
		! grep -q s3cret err || fail "a password is shown"
	done
	try haul connect --proxy socks5://127.0.0.1:1 unix:x </dev/null
	is 2
	try haul connect -u --proxy socks5://127.0.0.1:1 127.0.0.1 1 </dev/null
	is 2
}

@test "every address of a name is tried through the proxy" {
	need microsocks
	in_space '
		load() { :; }
		. "$LIB/proxies.bash"
		printf "127.0.1.%s many\n" 1 2 3 >hosts
		mount --bind hosts /etc/hosts
		up microsocks microsocks_open
		proxy=socks5://127.0.0.1:$port
		serve target stream -o heard listen:127.0.1.3 recv=9 \
			text="the answer\n" close
		try haul connect --hold --proxy "$proxy" many "$port" <<<question
		is 0
		says out "the answer"
		await_all target
		try haul connect --proxy "$proxy" many 1 </dev/null
		is 4
		for i in 1 2 3; do
			has err "127\.0\.1\.$i port 1: proxy 127.*: connection refused"
		done
	'
}
