# fish completion for haul(1)

# Is the subcommand one of these? Without arguments: is there none yet?
function __haul_command
    set -l words (commandline -opc)
    if test (count $argv) -eq 0
        test (count $words) -eq 1
    else
        contains -- "$words[2]" $argv
    end
end

# The operands before the cursor, one a line.
function __haul_operands
    set -l with_argument --connect-timeout --accept-timeout --idle-timeout \
        --timeout --sockopt --source --source-port --retry-for --ready-fd \
        --port-file --backlog --socket-mode --linger --datagram --output \
        --directory --count --max-clients --forward --proxy --shell --allow \
        --deny --limit --line-delay --proxy-protocol --also --hold-for --expect
    set -l words (commandline -opc)
    set -l skip no
    set -l ended no
    for word in $words[3..]
        if test $skip = yes
            set skip no
        else if test $ended = yes; or not string match -q -- '-?*' $word
            echo -- $word
        else if test "$word" = --
            set ended yes
        else if contains -- $word $with_argument
            or string match -qr -- '^-[^-]*[wspoD]$' $word
            set skip yes
        end
    end
end

# Does the command line have this option?
function __haul_option -a letter long
    set -l words (commandline -opc)
    contains -- --$long $words[3..]
    or test -n "$letter"
    and string match -qr -- "^-[^-]*$letter.*\$" $words[3..]
end

# Where the command behind "--" begins, if there is one.
function __haul_command_at
    __haul_command listen connect
    or return
    set -l words (commandline -opc)
    set -l ended (contains -i -- -- $words)
    and math $ended + 1
end

# What comes next of that command.
function __haul_next_of_command
    set -l words (commandline -opc)
    set -l first (__haul_command_at)
    set -l word (commandline -ct)
    if test $first -le (count $words)
        complete -C (string join ' ' -- \
            (string escape -- $words[$first..]) $word)
    else
        complete -C $word
    end
end

# Does this command line listen?
function __haul_listens
    set -l words (commandline -opc)
    switch "$words[2]"
        case listen
            true
        case send
            __haul_option l listen
        case receive
            not __haul_option c connect
        case '*'
            false
    end
end

# Is the first operand a complete address?
function __haul_whole -a first
    if string match -qr -- '^[0-9]+$' $first
        __haul_listens
    else
        string match -qr -- '^(unix:|vsock:|\\[|[^:]*:[^:]*$)' $first
    end
end

# Does an address, a port, a file come next?
function __haul_next -a what
    __haul_command listen connect send receive
    and not __haul_command_at >/dev/null
    and not __haul_option '' activate
    or return
    set -l operands (__haul_operands)
    switch (count $operands)
        case 0
            test $what = address
        case 1
            if __haul_whole $operands[1]
                test $what = file; and __haul_command send
            else
                test $what = port
            end
        case '*'
            test $what = file; and __haul_command send
    end
end

function __haul_services
    set -l protocol tcp
    __haul_option u udp
    and set protocol udp
    begin
        getent services 2>/dev/null
        or cat /etc/services 2>/dev/null
    end | string replace -rf "^([^#\s]+)\s+([0-9]+)/$protocol.*" '$1\tport $2'
end

function __haul_local_addresses
    echo localhost
    ip -o address 2>/dev/null | string replace -rf '.* inet6? ([^/ ]+).*' '$1'
end

# The word before the cursor, or what stands behind "=" in "--option=...".
function __haul_value
    commandline -ct | string replace -r '^--[a-z-]+=' ''
end

function __haul_addresses
    set -l word (__haul_value)
    switch $word
        case 'unix:@*' 'vsock:*:*'
            return
        case 'unix:*'
            set -l path (string replace unix: '' -- $word)
            printf 'unix:%s\n' (__fish_complete_path $path)
            return
        case 'vsock:*'
            printf 'vsock:%s:\n' local any
            return
        case '[*]:*' '*:*'
            string match -q '*:*:*' -- $word
            and not string match -q '[*' -- $word
            and return
            set -l host (string replace -r '[^:]*$' '' -- $word)
            printf "$host%s\n" (__haul_services)
            return
    end
    printf '%s\t%s\n' unix: 'UNIX socket' vsock: 'virtual machine'
    if __haul_listens
        __haul_local_addresses
        # A long list: not before something is typed.
        test -n "$word"
        and __haul_services
    else
        echo localhost
        __fish_print_hostnames
    end
end

# An address of one word, which an option takes.
function __haul_whole_addresses
    set -l word (__haul_value)
    switch $word
        case 'unix:*' 'vsock:*' '[*]:*' '*:*'
            __haul_addresses
        case '*'
            printf '%s\t%s\n' unix: 'UNIX socket' vsock: 'virtual machine'
            printf '%s:\n' localhost (__fish_print_hostnames)
    end
end

function __haul_proxies
    printf '%s://\n' socks5 socks5h socks4 socks4a http
end

# A network is an address, a prefix, a name, or a file.
function __haul_networks
    set -l word (__haul_value)
    string match -q '@*' -- $word
    and printf '@%s\n' (__fish_complete_path (string sub -s 2 -- $word))
end

function __haul_sockopts
    set -l switches \
        nodelay\t'send small segments at once' \
        keepalive\t'probe an idle connection' \
        reuseaddr\t'bind in spite of TIME_WAIT' \
        broadcast\t'allow datagrams to a broadcast address' \
        multicast-loop\t'multicasts reach this machine too' \
        mptcp\t'Multipath TCP' \
        reuseport\t'share the port with other listeners' \
        dontfragment\t'never fragment packets'
    set -l others \
        rcvbuf\t'receive buffer, bytes' \
        sndbuf\t'send buffer, bytes' \
        linger\t'seconds that the final close may wait' \
        mss\t'largest TCP segment, bytes' \
        ttl\t'time to live, hop limit' \
        multicast-ttl\t'hops of multicasts' \
        keepidle\t'seconds of silence before the first probe' \
        keepintvl\t'seconds between probes' \
        keepcnt\t'probes before the connection is given up' \
        user-timeout\t'milliseconds that data may stay unacknowledged' \
        congestion\t'congestion control' \
        fastopen\t'data with the SYN' \
        interface\t'use this network interface only' \
        mark\t'mark packets for routing and filters' \
        dscp\t'differentiated services' \
        join\t'listening: receive a multicast group'
    set -l name (commandline -ct | string replace -r '^--sockopt=' '' |
        string replace -rf '=.*' '')
    if test -z "$name"
        string replace \t =\t -- $switches $others
        echo help\t'list them all'
    else if string match -q -- $name\t'*' $switches
        printf "$name=%s\n" on off
    else if test $name = congestion
        set -l known /proc/sys/net/ipv4/tcp_available_congestion_control
        test -r $known
        and printf "$name=%s\n" (string split ' ' <$known)
    end
end

# haul(1) itself
complete -c haul -f
complete -c haul -n __haul_command -a listen \
    -d 'wait for a connection and talk over it'
complete -c haul -n __haul_command -a connect \
    -d 'make a connection and talk over it'
complete -c haul -n __haul_command -a send \
    -d 'deliver a stream, files or directories'
complete -c haul -n __haul_command -a receive -d 'take what haul send delivers'
complete -c haul -s h -l help -d 'print help and exit'
complete -c haul -s V -l version -d 'print the version and exit'

# Operands
complete -c haul -n '__haul_next address' -k -a '(__haul_addresses)'
complete -c haul -n '__haul_next port' -k -a '(__haul_services)'
complete -c haul -n '__haul_next file' -F
complete -c haul -n '__haul_command_at >/dev/null' \
    -a '(__haul_next_of_command)'

# Options of every subcommand
set -l command '__haul_command listen connect send receive'
set -l durations '250ms 1s 5s 30s 1m 5m 1h'
complete -c haul -n $command -s 4 -l ipv4 -d 'only IPv4'
complete -c haul -n $command -s 6 -l ipv6 -d 'only IPv6'
complete -c haul -n $command -s n -l numeric -d 'no look-ups'
complete -c haul -n $command -s u -l udp -d 'datagrams instead of a stream'
complete -c haul -n $command -l connect-timeout -xka $durations \
    -d 'connecting: give up after a time'
complete -c haul -n $command -l accept-timeout -xka $durations \
    -d 'listening: give up when nobody came'
complete -c haul -n $command -s w -l idle-timeout -xka $durations \
    -d 'give up when nothing moved'
complete -c haul -n $command -l timeout -xka $durations \
    -d 'give up on the whole run'
complete -c haul -n $command -l blocking -d 'a thread for each direction'
complete -c haul -n $command -l nonblocking -d 'one thread and one event loop'
complete -c haul -n $command -l sockopt -xka '(__haul_sockopts)' \
    -d 'set a socket option'
complete -c haul -n $command -s v -l verbose -d 'say what is going on'
complete -c haul -n $command -s q -l quiet -d 'say nothing but errors'

# Connecting
set command '__haul_command connect send receive'
complete -c haul -n $command -s s -l source -xa '(__haul_local_addresses)' \
    -d 'connect from a local address'
complete -c haul -n $command -s p -l source-port -xa '(__haul_services)' \
    -d 'connect from a local port'
complete -c haul -n $command -l proxy -xka '(__haul_proxies)' \
    -d 'through a SOCKS or HTTP proxy'
complete -c haul -n $command -l retry-for -xka $durations \
    -d 'keep trying until somebody answers'

# Listening
set command '__haul_command listen send receive'
complete -c haul -n $command -l ready-fd -x \
    -d 'once listening, write HOST PORT to a descriptor'
complete -c haul -n $command -l port-file -rF \
    -d 'once listening, write the port to a file'
complete -c haul -n $command -l backlog -x -d 'connections that may wait'
complete -c haul -n $command -l socket-mode -xa '600 660 666' \
    -d 'permissions of a UNIX socket'

# Relay
set command '__haul_command listen connect'
complete -c haul -n $command -s d -l no-stdin -d 'do not touch standard input'
complete -c haul -n $command -l send-only -d 'send; drop what the peer says'
complete -c haul -n $command -l receive-only \
    -d 'receive; do not touch standard input'
complete -c haul -n $command -s C -l crlf -d 'send LF as CRLF'
complete -c haul -n $command -l hold \
    -d 'at end of input, keep our direction open'
complete -c haul -n $command -l linger -xka $durations \
    -d 'leave this long after end of input'
complete -c haul -n $command -l line-delay -xka $durations \
    -d 'wait between the lines that are sent'
complete -c haul -n $command -l telnet \
    -d 'refuse what a telnet peer negotiates'
complete -c haul -n $command -l shell -xa '(complete -C (__haul_value))' \
    -d 'run a command with /bin/sh'
complete -c haul -n '__haul_command listen connect send receive' -l limit \
    -xka '100K 500K 1M 10M' -d 'at most so many bytes a second'
complete -c haul -n '__haul_command listen connect send' -l datagram \
    -xa 'line chunk' -d 'with -u, what becomes a datagram'

# Serving
set command '__haul_command listen'
complete -c haul -n '__haul_command listen receive' -l count -x \
    -d 'end after so many clients or transfers'
complete -c haul -n $command -s k -l keep-open \
    -d 'serve any number of clients'
complete -c haul -n $command -l max-clients -x -d 'so many at a time'
complete -c haul -n $command -l broker \
    -d 'what a client sends goes to all the others'
complete -c haul -n $command -l forward -xka '(__haul_whole_addresses)' \
    -d 'join each client to a connection'
complete -c haul -n $command -l proxy -xka '(__haul_proxies)' \
    -d 'with --forward, through a proxy'
complete -c haul -n $command -l allow -xka '(__haul_networks)' \
    -d 'only clients from a network'
complete -c haul -n $command -l deny -xka '(__haul_networks)' \
    -d 'no clients from a network'
complete -c haul -n $command -l activate \
    -d 'take the sockets that systemd has passed'
complete -c haul -n $command -l accept-proxy-protocol \
    -d 'each client begins with a PROXY header'

# Connections and probes
set command '__haul_command connect'
complete -c haul -n $command -l proxy-protocol -xa 'v1 v2' \
    -d 'begin with a PROXY header'
complete -c haul -n $command -l pass-fd \
    -d 'pass the connection over standard output'
complete -c haul -n $command -s z -l probe -d 'only see which ports are open'
complete -c haul -n $command -l also -xka '(__haul_whole_addresses)' \
    -d 'a further target'
complete -c haul -n $command -l until-closed \
    -d 'succeed when nobody listens any more'
complete -c haul -n $command -l hold-for -xka $durations \
    -d 'open means that the connection stays'
complete -c haul -n $command -l expect -x \
    -d 'open means that the service says this'

# Transfers
set command '__haul_command send receive'
complete -c haul -n $command -l raw \
    -d 'a plain stream, for peers other than haul'
complete -c haul -n $command -l progress -d 'show progress'
complete -c haul -n $command -l no-progress -d 'never show progress'
set command '__haul_command receive'
complete -c haul -n $command -s o -l output -rF -d 'write to a file'
complete -c haul -n $command -s D -l directory \
    -xa '(__fish_complete_directories)' -d 'write into a directory'
complete -c haul -n $command -l force -d 'replace files that exist'
complete -c haul -n $command -l fsync \
    -d 'confirm only what has reached the disk'
complete -c haul -n $command -s k -l keep-open \
    -d 'take one transfer after the other'

# Who waits for whom
complete -c haul -n '__haul_command send' -s l -l listen \
    -d 'wait for the receiver'
complete -c haul -n '__haul_command receive' -s c -l connect \
    -d 'connect to the sender'
