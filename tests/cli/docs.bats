#!/usr/bin/env bats
# The manual pages, the README and --help say what the program does.
# modes: none
# shellcheck disable=SC2154
# quick: no

export LC_ALL=C
ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
HAUL=${HAUL:-$ROOT/build/haul}
[[ $HAUL == /* ]] || HAUL=$PWD/$HAUL
SUBCOMMANDS=(listen connect send receive)

setup() {
	cd "$BATS_TEST_TMPDIR" || return
}

fail() {
	printf '%s\n' "$@" >&2
	return 1
}

# The text of a page, one line for each paragraph.
page() {
	mandoc -T ascii -O width=1000 "$ROOT/man/$1".? | sed 's/.\x08//g'
}

# section NAME: of the page on stdin.
section() {
	awk -v name="$1" '/^[A-Z]/ { inside = $0 == name } inside'
}

# The options of a subcommand, as in "-w, --idle-timeout D".
options_of() {
	timeout 10 "$HAUL" --dump-options | awk -F'\t' -v name="$1" '
		$1 == name {
			print ($3 == "-" ? "" : "-" $3 ", ") "--" $2 \
				($4 == "-" ? "" : " " $4)
		}' | sort
}

@test "the options in the tables are those in the pages" {
	for sub in "${SUBCOMMANDS[@]}"; do
		options_of "$sub" >table
		[[ -s table ]]
		page "haul-$sub" | section DESCRIPTION |
			sed -nE 's/^ {5}(-.*)/\1/p' | sed 's/  .*//; s/ $//' |
			sort >pages
		diff -u table pages
	done
}

@test "the options in the tables are those in --help" {
	for sub in "${SUBCOMMANDS[@]}"; do
		options_of "$sub" >table
		timeout 10 "$HAUL" "$sub" --help |
			sed -nE 's/^ +(-[^ ]*( --[^ ]*)?( [A-Z=]+)?)( .*|$)/\1/p' |
			sort >help
		diff -u table help
	done
}

@test "--help of each subcommand fits 80 columns and 64 lines" {
	for sub in "" "${SUBCOMMANDS[@]}"; do
		timeout 10 "$HAUL" ${sub:+"$sub"} --help >help
		(($(wc -L <help) <= 80)) || fail "$sub: $(wc -L <help) columns"
		(($(wc -l <help) <= 64)) || fail "$sub: $(wc -l <help) lines"
	done
}

@test "no page names an option that does not exist" {
	{
		timeout 10 "$HAUL" --dump-options | cut -f2
		printf '%s\n' help version dump-options
	} | sort -u >known
	for file in "$ROOT"/man/*.?; do
		name=${file##*/}
		page "${name%.?}" | { grep -oE -- '--[a-z][a-z0-9-]*' || :; } |
			sed 's/^--//' | sort -u >named
		diff <(comm -13 known named) /dev/null || fail "$name"
	done
}

@test "each subcommand has a page that haul(1) refers to, and the other way" {
	for sub in "${SUBCOMMANDS[@]}"; do
		page "haul-$sub" | grep -q "^ *haul $sub \[option \.\.\.\] address"
		page haul | grep -q "^ *haul $sub \[option \.\.\.\] address"
		page haul | section DESCRIPTION | grep -q "haul-$sub(1)"
		page "haul-$sub" | grep -q "haul(1)"
		timeout 10 "$HAUL" "$sub" --help | grep -q "haul-$sub(1)"
	done
	diff <(timeout 10 "$HAUL" --dump-options | cut -f1 | sort -u) \
		<(printf '%s\n' "${SUBCOMMANDS[@]}" | sort)
	diff <(printf '%s\n' "$ROOT"/man/* | sed 's,.*/,,' | sort) \
		<(printf 'haul%s.1\n' "" "${SUBCOMMANDS[@]/#/-}" |
			sort - <(echo haul-transfer.7))
	# The protocol has its page, too.
	for sub in send receive; do
		page "haul-$sub" | grep -q "haul-transfer(7)"
	done
}

@test "the exit statuses are the same everywhere" {
	printf '%s\n' 0 1 2 3 4 5 6 7 9 126 127 N >want
	rows() {
		section "EXIT STATUS" | sed -nE 's/^ +([0-9]+|N) +/\1 /p'
	}
	page haul | rows >all
	diff want <(cut -d' ' -f1 all)
	for sub in "${SUBCOMMANDS[@]}"; do
		# The last three are those of a COMMAND.
		case $sub in
		listen | connect) cp all those ;;
		*) head -n -3 all >those ;;
		esac
		page "haul-$sub" | rows | diff those -
		# What ends a run without a status of its own.
		page "haul-$sub" | section "EXIT STATUS" |
			grep -q 'dies by that signal'
	done
	# The pages may say more than the help, but begin as it does.
	timeout 10 "$HAUL" --help |
		sed -nE '/^exit status:/,$s/^  ([0-9N])/\1/p' |
		tr -s ' ' >help
	diff want <(cut -d' ' -f1 help)
	while read -r number text <&3 && read -r _ more <&4; do
		more=${more,,}
		text=${text,,}
		[[ ${more%.} == "$text"* ]] || fail "$number: $text / $more"
	done 3<help 4<all
}

@test "what a command finds in its environment is in the page" {
	timeout 10 "$HAUL" listen --port-file port 127.0.0.1 0 -- env 3>&- &
	until [[ -s port ]]; do
		sleep 0.02
	done
	timeout 10 "$HAUL" connect -d 127.0.0.1 "$(<port)" >variables
	wait $!
	grep -oE '^(HAUL_(PEER|LOCAL|TRANSPORT)|PROTO|TCP)[A-Z_]*' variables \
		>names
	(($(wc -l <names) == 10))
	page haul-listen | section DESCRIPTION >text
	while read -r name; do
		grep -qw "$name" text || fail "$name"
	done <names
}

@test "the kinds of proxies are those that haul knows" {
	run timeout 10 "$HAUL" connect --proxy nosuch://h 127.0.0.1 1
	[[ $status == 2 && $output =~ \((socks5, [a-z0-9, ]*)\) ]]
	tr -d ' ' <<<"${BASH_REMATCH[1]}" | tr , '\n' | sort >known
	page haul-connect | sed -nE 's/^ {5}((socks|http)[a-z0-9]*) .*/\1/p' |
		sort | diff known -
}

@test "the socket options are those that haul lists" {
	timeout 10 "$HAUL" connect --sockopt help | cut -d' ' -f1 | sort >listed
	# The page has a list for all systems and one for Linux.
	page haul | awk '/^   Socket options/ { inside = 1 }
		/^[A-Z]/ { inside = 0 } inside' >text
	grep -q '^ *And on Linux:' text
	names() {
		sed -nE 's/^ {5}([a-z][a-z-]*)(, ([a-z-]+))? +[^ ].*/\1\n\3/p' |
			grep .
	}
	sed '/And on Linux:/,$d' text | names | sort >portable
	sed '1,/And on Linux:/d' text | names | sort >linux
	[[ -s portable && -s linux ]]
	if grep -qx mptcp listed; then
		sort portable linux | diff listed -
	else
		diff listed portable
	fi
}

@test "mandoc finds nothing to complain about" {
	run mandoc -T lint -W warning "$ROOT"/man/*.?
	[[ $status == 0 && -z $output ]] || fail "$output"
}

@test "the test vectors are those of vectors.py" {
	cd "$ROOT/tests/unit" || return
	diff -u wire.vectors <(timeout 30 ./vectors.py)
}

@test "haul-transfer(7) shows test vectors as they are" {
	# Each display, and all vectors, with "|" for the line ends.
	sed -E 's/^([SR] [A-Z]+) .*/\1/; s/^\t/  /' \
		"$ROOT/tests/unit/wire.vectors" | tr '\n' '|' >vectors
	sed -n '/^\.Sh EXAMPLES/,/^\.Sh SEE/p' "$ROOT/man/haul-transfer.7" |
		awk '/^\.Ed/ { print line; inside = 0 }
			inside { line = line $0 "|" }
			/^\.Bd -literal/ { inside = 1; line = "" }' >shown
	(($(wc -l <shown) >= 3))
	while read -r block; do
		grep -qF -- "$block" vectors || fail "$block"
	done <shown
}

@test "haul-transfer(7) lists the frames that there are vectors of" {
	sed -nE 's/^[SR] ([A-Z]+).*/\1/p' "$ROOT/tests/unit/wire.vectors" |
		sort -u | grep -vx PREAMBLE >used
	page haul-transfer | sed -nE \
		's/^ +([A-Z]+) +[0-9]{2} +(sender|receiver|both) +[0-9].*/\1/p' |
		sort >listed
	diff -u used listed
}

@test "the examples of the pages run" {
	timeout 60 "$ROOT/tests/doc/examples.py" "$HAUL" "$ROOT"/man/*.1
}

@test "the examples of the README run, and say what it shows" {
	timeout 60 "$ROOT/tests/doc/examples.py" "$HAUL" "$ROOT/README.md"
}

@test "what the README links to is there" {
	while read -r link; do
		[[ -e $ROOT/$link ]] || fail "$link"
	done < <(grep -oE '\]\([^)#:]+\)' "$ROOT/README.md" | sed 's/^](//; s/)$//')
}
