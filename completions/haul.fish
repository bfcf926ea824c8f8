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
        --directory --count
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
    string match -qr -- "^(--$long|-[^-]*$letter.*)\$" $words[3..]
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

function __haul_addresses
    set -l word (commandline -ct)
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
complete -c haul -n '__haul_command listen connect send' -l datagram \
    -xa 'line chunk' -d 'with -u, what becomes a datagram'

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
complete -c haul -n $command -l count -x \
    -d 'with -k, end after so many transfers'

# Who waits for whom
complete -c haul -n '__haul_command send' -s l -l listen \
    -d 'wait for the receiver'
complete -c haul -n '__haul_command receive' -s c -l connect \
    -d 'connect to the sender'
