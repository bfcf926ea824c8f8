#!/usr/bin/python3
"""Press the TAB key in a real shell.

usage: tab.py bash|zsh|fish COMPLETION-FILE < REQUESTS

Starts the interactive shell on a terminal of its own with nothing but the
completion file loaded; with "-" nothing is, and bash and fish have to find it
by $XDG_DATA_DIRS. A request is a line "tab LINE": type LINE and TAB, and
print what the line has become; or "all LINE": print the line with all the
candidates for its last word inserted (bash, zsh), or all candidates, one word
each (fish).
"""

import os
import pty
import select
import shutil
import signal
import sys
import tempfile
import time

LIMIT = 15          # seconds for one answer
PROMPT = b"<ready>"
DUMP = b"\x18d"     # C-x d

RC = {
    "bash": r"""
PS1='<ready>' PS2= HISTFILE=
. /usr/share/bash-completion/bash_completion
[[ ! $COMPLETION ]] || . "$COMPLETION"
bind 'set bell-style none'
bind 'set enable-bracketed-paste off'
bind 'set completion-query-items 0'
bind 'set page-completions off'
bind '"\C-xa": insert-completions'
dump() { printf '%s\0' "$READLINE_LINE" >"$ANSWERS"; READLINE_LINE=; }
bind -x '"\C-xd": dump'
""",
    "zsh": r"""
PS1='<ready>' RPS1= PS2=
unsetopt beep
setopt no_list_beep no_always_last_prompt
LISTMAX=10000
fpath=(${COMPLETION:h} $fpath)
autoload -Uz compinit && compinit -u -D
zle -C all complete-word _generic
zstyle ':completion:all:*' completer _all_matches _complete
zstyle ':completion:all:*' insert true
zstyle ':completion:*' list false
bindkey '^Xa' all
dump() { print -rn -- "$BUFFER"$'\0' >$ANSWERS; BUFFER= }
zle -N dump
bindkey '^Xd' dump
""",
    "fish": r"""
function fish_prompt; echo -n '<ready>'; end
function fish_right_prompt; end
set -g fish_greeting
set -g fish_autosuggestion_enabled 0
test -z "$COMPLETION"; or source $COMPLETION
function dump
    printf '%s\0' (commandline) >$ANSWERS
    commandline ''
end
function all
    commandline -- (string join ' ' -- (complete -C (commandline) |
        string replace -r '\t.*' ''))
end
bind \cxd dump
bind \cxa all
""",
}


def command(shell, rc):
    if shell == "bash":
        return ["bash", "--noprofile", "--rcfile", rc, "-i"]
    if shell == "zsh":
        return ["zsh", "-d", "-i"]
    return ["fish", "--private", "--init-command", "source " + rc]


class Terminal:
    def __init__(self, shell, completion, home):
        self.answers = os.path.join(home, "answers")
        os.mkfifo(self.answers)
        self.fifo = os.open(self.answers, os.O_RDWR | os.O_NONBLOCK)
        rc = os.path.join(home, ".zshrc" if shell == "zsh" else "rc")
        with open(rc, "w") as f:
            f.write(RC[shell])
        env = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ["HOME"],
            "ZDOTDIR": home,
            "INPUTRC": "/dev/null",
            "XDG_CONFIG_HOME": home,
            "XDG_DATA_HOME": home,
            "XDG_DATA_DIRS": os.environ.get("XDG_DATA_DIRS", ""),
            "TERM": "xterm",
            "COLUMNS": "200",
            "LC_ALL": "C.UTF-8",
            "COMPLETION": completion,
            "ANSWERS": self.answers,
        }
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            argv = command(shell, rc)
            os.execvpe(argv[0], argv, env)
        self.shown = b""
        self.wait(lambda: PROMPT in self.shown)

    def wait(self, done):
        """Read what the shell shows and answers until done() is true."""
        end = time.monotonic() + LIMIT
        while not done():
            fds = [self.fifo, self.master]
            left = max(0, end - time.monotonic())
            ready = select.select(fds, [], [], left)[0]
            if not ready:
                sys.exit("no answer; the terminal shows %r" % self.shown)
            if self.fifo in ready:
                self.answer += os.read(self.fifo, 65536)
            if self.master in ready:
                self.shown += os.read(self.master, 65536)

    answer = b""

    def ask(self, kind, line):
        self.answer = b""
        key = b"\t" if kind == "tab" else b"\x18a"
        os.write(self.master, line.encode() + key + DUMP)
        self.wait(lambda: self.answer.endswith(b"\0"))
        return self.answer[:-1].decode()

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def main():
    shell, completion = sys.argv[1:3]
    completion = "" if completion == "-" else os.path.abspath(completion)
    if shutil.which(shell) is None:
        sys.exit("%s is not installed" % shell)
    with tempfile.TemporaryDirectory() as home:
        terminal = Terminal(shell, completion, home)
        try:
            for request in sys.stdin:
                kind, _, line = request.rstrip("\n").partition(" ")
                print(terminal.ask(kind, line), flush=True)
        finally:
            terminal.close()


main()
