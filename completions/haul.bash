# bash completion for haul(1)                            -*- shell-script -*-

# Offer what compgen finds for the current word.
_haul_offer()
{
    mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen "$@" -- "$cur")
}

# The names of services, of TCP or UDP.
_haul_services()
{
    _haul_offer -W "$({ getent services || cat /etc/services; } 2>/dev/null |
        awk -v protocol="/$1" '!/^#/ && index($2, protocol) { print $1 }')"
}

# Let the candidates begin with a prefix that ends in a separator, unless the
# command line is split there, so that only what follows is to be completed.
_haul_prefix()
{
    [[ $COMP_WORDBREAKS == *"${1: -1}"* ]] ||
        COMPREPLY=("${COMPREPLY[@]/#/$1}")
}

# An ADDRESS, or the HOST of "HOST PORT".
_haul_address()
{
    local listening=$1 protocol=$2 prefix
    case $cur in
        unix:@*)
            return
            ;;
        unix:*)
            cur=${cur#unix:}
            _filedir
            _haul_prefix unix:
            return
            ;;
        vsock:*)
            _haul_offer -W 'vsock:local: vsock:any:'
            compopt -o nospace
            ;;
        \[*\]:* | !(*:*):!(*:*))
            prefix=${cur%:*}:
            cur=${cur##*:}
            _haul_services "$protocol"
            _haul_prefix "$prefix"
            return
            ;;
        *)
            if [[ $listening ]]; then
                _ip_addresses -a
                _haul_offer -W localhost
                # A long list: not before something is typed.
                [[ $cur ]] && _haul_services "$protocol"
            else
                _known_hosts_real -- "$cur"
            fi
            _haul_offer -W 'unix: vsock:'
            [[ ${COMPREPLY[*]} == *: ]] && compopt -o nospace
            # _known_hosts_real has done this already.
            [[ $listening ]] || return
            ;;
    esac
    __ltrim_colon_completions "$cur"
}

# An ADDRESS of one word, which an option takes.
_haul_whole_address()
{
    case $cur in
        *:*) _haul_address '' "$1" ;;
        *)
            _known_hosts_real -c -- "$cur"
            _haul_offer -W 'localhost: unix: vsock:'
            compopt -o nospace
            ;;
    esac
}

# What follows "--": a command and its arguments.
_haul_command()
{
    local i
    for ((i = 2; i < COMP_CWORD; i++)); do
        if [[ ${COMP_WORDS[i]} == -- ]]; then
            _command_offset $((i + 1))
            return
        fi
    done
}

_haul_sockopt()
{
    local switches='nodelay keepalive reuseaddr broadcast multicast-loop mptcp
        reuseport dontfragment'
    local others='rcvbuf sndbuf linger mss ttl multicast-ttl keepidle keepintvl
        keepcnt user-timeout congestion fastopen interface mark dscp join'
    local name=${cur%%=*}
    if [[ $cur != *=* ]]; then
        _haul_offer -S = -W "$switches $others"
        _haul_offer -W help
        [[ ${COMPREPLY[*]} == *= ]] && compopt -o nospace
        return
    fi
    cur=${cur#*=}
    if [[ $switches =~ (^|[[:space:]])"$name"($|[[:space:]]) ]]; then
        _haul_offer -W 'on off'
    elif [[ $name == congestion ]]; then
        _haul_offer -W "$(cat \
            /proc/sys/net/ipv4/tcp_available_congestion_control 2>/dev/null)"
    fi
    _haul_prefix "$name="
}

_haul_argument()
{
    local option=$1 protocol=$2
    case $option in
        --connect-timeout | --accept-timeout | --idle-timeout | -w | \
            --timeout | --retry-for | --linger | --line-delay | --hold-for)
            _haul_offer -W '250ms 1s 5s 30s 1m 5m 1h'
            ;;
        --source | -s)
            _ip_addresses -a
            _haul_offer -W localhost
            __ltrim_colon_completions "$cur"
            ;;
        --source-port | -p)
            _haul_services "$protocol"
            ;;
        --port-file | --output | -o)
            _filedir
            ;;
        --forward | --also)
            _haul_whole_address "$protocol"
            ;;
        --proxy)
            _haul_offer -W 'socks5:// socks5h:// socks4:// socks4a:// http://'
            compopt -o nospace
            __ltrim_colon_completions "$cur"
            ;;
        --proxy-protocol)
            _haul_offer -W 'v1 v2'
            ;;
        --allow | --deny)
            [[ $cur == @* ]] || return
            cur=${cur#@}
            _filedir
            _haul_prefix @
            ;;
        --shell)
            _haul_offer -c
            ;;
        --limit)
            _haul_offer -W '100K 500K 1M 10M'
            ;;
        --directory | -D)
            _filedir -d
            ;;
        --socket-mode)
            _haul_offer -W '600 660 666'
            ;;
        --datagram)
            _haul_offer -W 'line chunk'
            ;;
        --sockopt)
            _haul_sockopt
            ;;
    esac
}

_haul()
{
    local cur prev words cword split=false
    _init_completion -s -n : || return

    # A "=" marks an option that takes an argument.
    local common='-4 --ipv4 -6 --ipv6 -n --numeric -u --udp --connect-timeout=
        --accept-timeout= -w= --idle-timeout= --timeout= --blocking
        --nonblocking --sockopt= -v --verbose -q --quiet -h --help -V
        --version'
    local dial='-s= --source= -p= --source-port= --proxy= --retry-for='
    local bind='--ready-fd= --port-file= --backlog= --socket-mode='
    local relay='-d --no-stdin --send-only --receive-only -C --crlf --hold
        --linger= --datagram= --limit= --line-delay= --telnet --shell='
    local service='-k --keep-open --max-clients= --count= --broker --forward=
        --proxy= --allow= --deny= --activate --accept-proxy-protocol'
    local probe='-z --probe --also= --until-closed --hold-for= --expect='
    local transfer='--raw --progress --no-progress --limit='
    local command=${words[1]} listening='' taken
    local -a options

    if ((cword == 1)); then
        _haul_offer -W 'listen connect send receive -h --help -V --version'
        return
    fi
    case $command in
        listen) listening=y taken="$common $bind $relay $service" ;;
        connect)
            taken="$common $dial $relay $probe --proxy-protocol= --pass-fd"
            ;;
        send)
            taken="$common $dial $bind $transfer --datagram= -l --listen"
            ;;
        receive)
            listening=y
            taken="$common $dial $bind $transfer -c --connect -o= --output= -D=
                --directory= --force --fsync -k --keep-open --count="
            ;;
        *) return ;;
    esac
    read -rd '' -a options <<<"$taken"

    # What stands before the cursor: options, arguments of theirs, operands.
    local -a operands=()
    local word option='' protocol=tcp ended='' activated='' i
    for ((i = 2; i < cword; i++)); do
        word=${words[i]}
        if [[ $option ]]; then
            option=''
            continue
        elif [[ $ended || $word != -?* ]]; then
            operands+=("$word")
            continue
        fi
        case $word in
            --) ended=y ;;
            --udp | -!(-*)u*) protocol=udp ;;&
            --activate) activated=y ;;&
            --listen | -!(-*)l*) [[ $command == send ]] && listening=y ;;&
            --connect | -!(-*)c*) [[ $command == receive ]] && listening='' ;;&
            --*) option=$word ;;
            *) option=-${word: -1} ;; # the last of a bundle of letters
        esac
        [[ " ${options[*]} " == *" $option= "* ]] || option=''
    done
    # _init_completion has split "--option=argument" and moved it to prev.
    $split && option=$prev

    if [[ $option ]]; then
        _haul_argument "$option" "$protocol"
        return
    elif [[ $ended && $command == @(listen|connect) ]]; then
        _haul_command
        return
    elif [[ ! $ended && $cur == -* ]]; then
        _haul_offer -W "${options[*]%=}"
        return
    fi

    local whole=''
    case ${operands[0]-} in
        unix:* | vsock:* | \[* | !(*:*):!(*:*)) whole=y ;;
        +([0-9])) whole=$listening ;;
    esac
    if [[ $activated ]]; then
        return
    elif ((${#operands[@]} == 0)); then
        _haul_address "$listening" "$protocol"
    elif ((${#operands[@]} == 1)) && [[ ! $whole ]]; then
        _haul_services "$protocol"
    elif [[ $command == send ]]; then
        _filedir
    fi
} &&
    complete -F _haul haul

# ex: filetype=sh
