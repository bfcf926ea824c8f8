#!/usr/bin/env bats
# The completions, loaded and asked in their real shells: what each offers is
# compared with the tables of the program, and TAB is pressed in a terminal.
# modes: none
# shellcheck disable=SC2154
# quick: no

ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
HAUL=${HAUL:-$ROOT/build/haul}
[[ $HAUL == /* ]] || HAUL=$PWD/$HAUL
SUBCOMMANDS=(listen connect send receive)
SHELLS=(bash zsh fish)

file_of() {
	case $1 in
	zsh) echo "$ROOT/completions/_haul" ;;
	*) echo "$ROOT/completions/haul.$1" ;;
	esac
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	# A host that only a user's own list of known hosts has.
	export HOME=$BATS_TEST_TMPDIR/home
	mkdir -p home/.ssh files
	echo 'prob.host,192.0.2.7 ssh-ed25519 AAAA' >home/.ssh/known_hosts
	touch files/sock.1 'files/with space'
}

fail() {
	printf '%s\n' "$@" >&2
	return 1
}

# ask REQUESTS [SHELL...]: what the terminals of the shells (all of them) answer
# to a file of requests (see tab.py), in got.SHELL.
ask() {
	local requests=$1 shell job jobs=()
	shift
	for shell in "${@:-${SHELLS[@]}}"; do
		timeout 60 "$ROOT/tests/doc/tab.py" "$shell" "$(file_of "$shell")" \
			<"$requests" >"got.$shell" 3>&- &
		jobs+=($!)
	done
	for job in "${jobs[@]}"; do
		wait "$job" || return
	done
}

dump() {
	timeout 10 "$HAUL" --dump-options
}

# expect FILE: each line of it is "LINE -> what TAB makes of it"; "_" is a space
# at the end.
expect() {
	sed 's/ -> .*//; s/^/tab /' "$1" >requests
	sed 's/.* -> //; s/_$/ /' "$1" | paste -d'|' requests - >want
	ask requests "${@:2}"
	for shell in "${@:2}"; do
		paste -d'|' requests "got.$shell" | diff -u want - || fail "$shell"
	done
}

@test "the options that are offered are those in the tables" {
	for sub in "${SUBCOMMANDS[@]}"; do
		dump | awk -F'\t' -v sub_="$sub" '$1 == sub_ {
			print "--" $2
			if ($3 != "-") print "-" $3 }' | sort >"$sub.table"
		[[ -s $sub.table ]]
	done
	printf 'all haul %s -\n' "${SUBCOMMANDS[@]}" >requests
	ask requests
	for shell in "${SHELLS[@]}"; do
		for sub in "${SUBCOMMANDS[@]}"; do
			read -r line
			grep -oE -- ' --?[a-zA-Z0-9-]+|^--?[a-zA-Z0-9-]+' <<<"$line" |
				tr -d ' ' | sort | diff -u "$sub.table" - ||
				fail "$shell, $sub"
		done <"got.$shell"
	done
}

@test "options take an argument if, and only if, the tables say so" {
	for sub in "${SUBCOMMANDS[@]}"; do
		# Where it listens, hosts are offered with the other role's option.
		role=
		case $sub in
		receive) role=" -c" ;;
		listen) continue ;;
		esac
		dump | awk -F'\t' -v sub_="$sub" -v role="$role" '
			$1 != sub_ || $2 ~ /^(help|version|listen|connect)$/ { next }
			{ row = ($4 == "-" || $4 == "ADDRESS" ? "host" : "argument") \
				"\t" sub_ role " " }
			{ print row "--" $2 }
			$3 != "-" { print row "-" $3 }' >>options
	done
	sed "s/.*\t\(.*\)/tab haul \1 prob/" options >requests
	ask requests
	for shell in "${SHELLS[@]}"; do
		paste options requests "got.$shell" | awk -F'\t' -v shell="$shell" '
			{ host = $4 ~ /prob\.host/ }
			host != ($1 == "host") { print shell ": " $4; wrong = 1 }
			END { exit wrong }'
	done
	# The same where only local addresses are offered.
	dump | awk -F'\t' '
		$1 != "listen" || $2 ~ /^(help|version|activate)$/ { next }
		{ print ($4 == "-" || $4 == "ADDRESS" ? "host" : "argument") \
			"\t--" $2 }' >options
	sed "s/.*\t\(.*\)/tab haul listen \1 localh/" options >requests
	ask requests
	for shell in "${SHELLS[@]}"; do
		paste options requests "got.$shell" | awk -F'\t' -v shell="$shell" '
			{ host = $4 ~ /localhost/ }
			host != ($1 == "host") { print shell ": " $4; wrong = 1 }
			END { exit wrong }'
	done
}

@test "bash and fish load them by themselves, zsh by its #compdef line" {
	mkdir -p share/{bash-completion/completions,fish/vendor_completions.d} bin
	cp "$ROOT/completions/haul.bash" share/bash-completion/completions/haul
	cp "$ROOT/completions/haul.fish" share/fish/vendor_completions.d
	ln -s "$HAUL" bin/haul
	for shell in bash fish; do
		echo 'tab haul rec' | PATH=$PWD/bin:$PATH XDG_DATA_DIRS=$PWD/share \
			timeout 20 "$ROOT/tests/doc/tab.py" "$shell" - >got
		[[ $(<got) == "haul receive " ]] || fail "$shell: $(<got)"
	done
	[[ $(head -n 1 "$(file_of zsh)") == "#compdef haul" ]]
}

@test "subcommands" {
	printf '%s\n' "${SUBCOMMANDS[@]}" | sort >want
	echo 'all haul ' >requests
	ask requests
	for shell in "${SHELLS[@]}"; do
		tr ' ' '\n' <"got.$shell" |
			grep -vE '^(haul|-.*|)$' | sort | diff -u want - ||
			fail "$shell"
	done
	cat >table <<-END
		haul con -> haul connect_
		haul --vers -> haul --version_
		haul nosuch --ti -> haul nosuch --ti
	END
	expect table "${SHELLS[@]}"
}

@test "socket options" {
	# The completions know those of Linux, too.
	timeout 10 "$HAUL" connect --sockopt help | cut -d' ' -f1 | sort >listed
	echo 'all haul listen --sockopt ' >requests
	ask requests
	for shell in "${SHELLS[@]}"; do
		grep -oE '[a-z-]+=' "got.$shell" | tr -d = | sort >offered
		[[ -s offered ]]
		if grep -qx mptcp listed; then
			diff listed offered || fail "$shell"
		else
			[[ -z $(comm -23 listed offered) ]] || fail "$shell"
		fi
	done
	cat >table <<-END
		haul connect --sockopt nodel -> haul connect --sockopt nodelay=
		haul connect --sockopt nodelay=of -> haul connect --sockopt nodelay=off_
		haul connect --sockopt=nodel -> haul connect --sockopt=nodelay=
		haul connect --sockopt=nodelay=of -> haul connect --sockopt=nodelay=off_
		haul connect --sockopt hel -> haul connect --sockopt help_
		haul connect --sockopt dsc -> haul connect --sockopt dscp=
	END
	expect table "${SHELLS[@]}"
}

@test "values of options" {
	cat >table <<-END
		haul send --datagram l -> haul send --datagram line_
		haul send --datagram=c -> haul send --datagram=chunk_
		haul listen --datagram c -> haul listen --datagram chunk_
		haul connect -w 2 -> haul connect -w 250ms_
		haul connect --timeout=3 -> haul connect --timeout=30s_
		haul connect -s localh -> haul connect -s localhost_
		haul connect -p domain- -> haul connect -p domain-s_
		haul listen --socket-mode 60 -> haul listen --socket-mode 600_
		haul listen --port-file files/so -> haul listen --port-file files/sock.1_
		haul listen --port-file=files/so -> haul listen --port-file=files/sock.1_
		haul receive -o files/so -> haul receive -o files/sock.1_
		haul receive --output=files/wi -> haul receive --output=files/with\\ space_
		haul receive -D fil -> haul receive -D files/
		haul receive --directory fil -> haul receive --directory files/
		haul receive --directory=fil -> haul receive --directory=files/
		haul receive -D files/so -> haul receive -D files/so
		haul connect --proxy-protocol v -> haul connect --proxy-protocol v
		haul connect --proxy-protocol=v1 -> haul connect --proxy-protocol=v1_
		haul connect --proxy-protocol v2 -> haul connect --proxy-protocol v2_
		haul connect --proxy ht -> haul connect --proxy http://
		haul send --proxy=ht -> haul send --proxy=http://
		haul listen --proxy ht -> haul listen --proxy http://
		haul listen --limit 5 -> haul listen --limit 500K_
		haul receive --limit=5 -> haul receive --limit=500K_
		haul connect --hold-for 2 -> haul connect --hold-for 250ms_
		haul listen --line-delay=2 -> haul listen --line-delay=250ms_
		haul listen --allow @files/so -> haul listen --allow @files/sock.1_
		haul listen --deny=@files/so -> haul listen --deny=@files/sock.1_
		haul listen --forward prob -> haul listen --forward prob.host:
		haul listen --forward uni -> haul listen --forward unix:
		haul listen --forward unix:files/so -> haul listen --forward unix:files/sock.1_
		haul listen --forward=unix:files/so -> haul listen --forward=unix:files/sock.1_
		haul listen --forward prob.host:domain- -> haul listen --forward prob.host:domain-s_
		haul connect --also prob -> haul connect --also prob.host:
		haul connect --also prob.host:domain- -> haul connect --also prob.host:domain-s_
	END
	expect table "${SHELLS[@]}"
}

@test "hosts, ports and files" {
	cat >table <<-END
		haul connect prob -> haul connect prob.host_
		haul send -v prob -> haul send -v prob.host_
		haul receive -c prob -> haul receive -c prob.host_
		haul receive prob -> haul receive prob
		haul receive -k -D files --count 2 domain- -> haul receive -k -D files --count 2 domain-s_
		haul receive -o sock domain- -> haul receive -o sock domain-s_
		haul receive 9000 fil -> haul receive 9000 fil
		haul receive -kD files 9000 fil -> haul receive -kD files 9000 fil
		haul send -l prob -> haul send -l prob
		haul listen localh -> haul listen localhost_
		haul listen domain- -> haul listen domain-s_
		haul connect prob.host domain- -> haul connect prob.host domain-s_
		haul connect -w 5 prob.host domain- -> haul connect -w 5 prob.host domain-s_
		haul connect prob.host:domain- -> haul connect prob.host:domain-s_
		haul connect ::1 domain- -> haul connect ::1 domain-s_
		haul connect -u ::1 snmp-t -> haul connect -u ::1 snmp-trap_
		haul connect prob.host 80 fil -> haul connect prob.host 80 fil
		haul send prob.host 80 files/so -> haul send prob.host 80 files/sock.1_
		haul send prob.host:80 files/wi -> haul send prob.host:80 files/with\\ space_
		haul send prob.host:80 -- files/so -> haul send prob.host:80 -- files/sock.1_
		haul send -l 9000 files/so -> haul send -l 9000 files/sock.1_
		haul send -l 9000 one files/so -> haul send -l 9000 one files/sock.1_
	END
	expect table "${SHELLS[@]}"
}

@test "the command behind --" {
	mkdir tools
	printf '#!/bin/sh\n' >tools/haul-probe-tool
	chmod +x tools/haul-probe-tool
	PATH=$PWD/tools:$PATH
	cat >table <<-END
		haul listen localhost 9000 -- haul-probe-t -> haul listen localhost 9000 -- haul-probe-tool_
		haul connect prob.host:80 -- haul-probe-t -> haul connect prob.host:80 -- haul-probe-tool_
		haul connect -u prob.host 80 -- cat files/so -> haul connect -u prob.host 80 -- cat files/sock.1_
		haul listen --activate -- haul-probe-t -> haul listen --activate -- haul-probe-tool_
		haul listen --activate localh -> haul listen --activate localh
	END
	expect table "${SHELLS[@]}"
}

@test "other kinds of address" {
	cat >table <<-END
		haul connect uni -> haul connect unix:
		haul connect unix:files/so -> haul connect unix:files/sock.1_
		haul listen unix:files/wi -> haul listen unix:files/with\\ space_
		haul send unix:sock files/so -> haul send unix:sock files/sock.1_
		haul connect vso -> haul connect vsock:
		haul connect vsock:lo -> haul connect vsock:local:
	END
	expect table "${SHELLS[@]}"
	# fish quotes the brackets.
	echo 'haul connect [::1]:domain- -> haul connect [::1]:domain-s_' >table
	expect table bash zsh
	echo 'haul connect [::1]:domain- -> haul connect \[::1\]:domain-s_' >table
	expect table fish
}
