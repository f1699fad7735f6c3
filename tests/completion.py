# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
# completion.py SHELL FOLDER: a shell on a terminal, in FOLDER, with the completion of contrib. Reads
# lines from standard input: what is typed, a tab, and what has to stand on the line, or among what
# is listed, afterwards; ends with 1 at the first that does not, or if that takes too long.
import fcntl, os, pty, re, select, signal, struct, sys, termios, time

LIMIT = 30      # seconds
shell, folder = sys.argv[1], sys.argv[2]
completion = os.environ["COMPLETION"]
START = {
    "bash": (["bash", "--noprofile", "--norc", "-i"],
             "bind 'set enable-bracketed-paste off'; bind 'set page-completions off'; "
             "bind 'set show-all-if-ambiguous on'; "
             "bind 'set completion-query-items 0'; . %s/kilowg; PS1='ready''> '\n" % completion),
    "zsh": (["zsh", "-f", "-i"],
            "unsetopt zle_bracketed_paste list_beep; unset zle_bracketed_paste; setopt no_always_last_prompt; "
            "LISTMAX=10000; fpath=(%s $fpath); autoload -Uz compinit; compinit -D -u; PROMPT='ready''> '\n"
            % completion),
    "fish": (["fish", "--no-config", "-i"],
             "set -g fish_autosuggestion_enabled 0; function fish_prompt; printf 'ready''> '; end; "
             "function fish_right_prompt; end; source %s/kilowg.fish\n" % completion),
}


def plain(data):
    text = data.decode(errors="replace")
    text = re.sub(r"\x1b\][^\x07\x1b]*(\x07|\x1b\\)", "", text)
    text = re.sub(r"\x1b[\[(][0-9;?>=]*[A-Za-z]?", "", text)
    return re.sub(r"\x1b.|[\x00\x07\x08\x0e\x0f]", "", text)


def read_until(fd, wanted):
    data, end = b"", time.monotonic() + LIMIT
    while wanted not in plain(data):
        left = end - time.monotonic()
        if left <= 0 or not select.select([fd], [], [], left)[0]:
            return False, plain(data)
        try:
            data += os.read(fd, 65536)
        except OSError:
            return False, plain(data)
    return True, plain(data)


# A shell of its own for each line: what one leaves on the screen is in no other's way.
def complete(typed, wanted):
    argv, setup = START[shell]
    pid, fd = pty.fork()
    if not pid:
        os.chdir(folder)
        os.environ.update(TERM="xterm", HOME=folder, LC_ALL="C.UTF-8")
        os.execvp(argv[0], argv)
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 100, 200, 0, 0))
    os.write(fd, setup.encode())
    ok, got = read_until(fd, "ready> ")
    if ok:
        # The first may only add what all candidates have in common.
        os.write(fd, typed.encode() + b"\t\t")
        ok, got = read_until(fd, wanted)
    os.close(fd)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    if not ok:
        print("%s: %r does not bring %r; there was:\n%s" % (shell, typed, wanted, got))
    return ok


for line in sys.stdin.read().splitlines():
    if not complete(*line.split("\t")):
        sys.exit(1)
