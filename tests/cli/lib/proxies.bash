# shellcheck shell=bash disable=SC2034,SC2154
# Servers that cannot take a port of the kernel's choice: up NAME FUNCTION calls
# a function that starts NAME on $port, with further ports until one is free.

PATH=$PATH:/usr/sbin:/sbin

need() {
	local command
	for command; do
		command -v "$command" >/dev/null || skip "no $command here"
	done
}

free_port() {
	python3 -ISc '
import socket
with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    print(s.getsockname()[1])'
}

# Does NAME listen on 127.0.0.1 PORT? (It, or a child of it.)
is_listening() {
	local address inode pid
	printf -v address '0100007F:%04X 00000000:0000 0A' "$2"
	inode=$(awk -v a="$address" 'index($0, " " a " ") { print $10 }' \
		/proc/net/tcp)
	[[ $inode ]] || return
	for pid in "${PID[$1]}" $(pgrep -P "${PID[$1]}"); do
		[[ ! $(find "/proc/$pid/fd" -lname "socket:\\[$inode\\]" \
			2>/dev/null) ]] || return 0
	done
	return 1
}

up() {
	local - && set +T
	local name=$1 try end
	for try in {1..5}; do
		port=$(free_port)
		"$2" "${@:3}" </dev/null >"$name.out"
		end=$((SECONDS + 15))
		while runs "$name" && ((SECONDS < end)); do
			! is_listening "$name" "$port" || return 0
			nap
		done
	done
	fail "$name does not listen:" "$(<"$name.err")" "$(<"$name.out")"
}

# --- proxies, on $port ------------------------------------------------------

microsocks_open() {
	start microsocks microsocks -i 127.0.0.1 -p "$port"
}

microsocks_login() {
	start microsocks microsocks -i 127.0.0.1 -p "$port" -u me -P 's3cret:/'
}

# It connects nobody to 127.0.0.9.
danted_open() {
	local user
	user=$(id -un)
	cat >danted.conf <<-END
		logoutput: stderr
		internal: 127.0.0.1 port = $port
		external: 127.0.0.1
		clientmethod: none
		socksmethod: none
		user.privileged: $user
		user.unprivileged: $user
		client pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }
		socks block { from: 0.0.0.0/0 to: 127.0.0.9/32 }
		socks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }
	END
	start danted danted -f danted.conf -N 1
}

# With a login; no port but the ARGUMENT.
tinyproxy_login() {
	cat >tinyproxy.conf <<-END
		Port $port
		Listen 127.0.0.1
		Timeout 20
		LogLevel Error
		Allow 127.0.0.1
		BasicAuth me s3cret
		ConnectPort $1
	END
	start tinyproxy tinyproxy -d -c tinyproxy.conf
}

# With a login; half-closed connections live on; port 81 is denied.
squid_login() {
	cat >squid.conf <<-END
		http_port 127.0.0.1:$port
		pid_filename none
		access_log none
		cache_log stdio:/dev/null
		logfile_rotate 0
		cache deny all
		cache_mem 1 MB
		coredump_dir none
		pinger_enable off
		half_closed_clients on
		auth_param basic program /bin/sed -u s/^me.s3cret$/OK/;t;s/.*/ERR/
		auth_param basic children 1
		acl known proxy_auth REQUIRED
		acl closed port 81
		http_access deny closed
		http_access allow known
		http_access deny all
	END
	squid_name=haul$port
	start squid squid -N -n "$squid_name" -f "$PWD/squid.conf"
}

# What a killed squid leaves of its shared memory.
squid_clean() {
	[[ ! ${squid_name-} ]] || rm -f "/dev/shm/$squid_name"-cf__*
}

# --- servers of the PROXY protocol, on $port --------------------------------

# Answers with the ends that a header tells.
haproxy_accept() {
	cat >haproxy.conf <<-END
		defaults
		  mode http
		  timeout client 20s
		  timeout connect 20s
		  timeout server 20s
		frontend f
		  bind 127.0.0.1:$port accept-proxy
		  http-request return status 200 content-type text/plain lf-string "%[src] %[src_port] %[dst] %[dst_port]\n"
	END
	start haproxy haproxy -db -f haproxy.conf
}

# Announces its clients (as OPTION says) to 127.0.0.1 BEHIND.
haproxy_send() {
	cat >haproxy.conf <<-END
		defaults
		  mode tcp
		  timeout client 20s
		  timeout connect 20s
		  timeout server 20s
		frontend f
		  bind 127.0.0.1:$port
		  default_backend b
		backend b
		  server s 127.0.0.1:$2 $1
	END
	start haproxy haproxy -db -f haproxy.conf
}

nginx_accept() {
	local part
	{
		echo "daemon off; master_process off; pid $PWD/nginx.pid;"
		echo "error_log stderr; events { } http { access_log off;"
		for part in client_body proxy fastcgi uwsgi scgi; do
			echo "${part}_temp_path $PWD/nginx-$part;"
		done
		echo "server { listen 127.0.0.1:$port proxy_protocol;"
		# shellcheck disable=SC2016,SC2028
		echo 'location / { return 200' \
			'"$proxy_protocol_addr $proxy_protocol_port\n"; } } }'
	} >nginx.conf
	start nginx nginx -c "$PWD/nginx.conf"
}
