#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# A data plane that hangs ends by itself; one that is only stopped, or slow, does not.

# shellcheck disable=SC2046,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg python3
use_userspace
[ "$userspace" = kilowg-userspace ] || cannot 'there is no kilowg-userspace'
export KILOWG_WORKERS=2

# Stops one thread of a process, as a debugger does, until it has ended. 0: it has.
cat >"$T/hold.py" <<'END'
import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
tid = int(sys.argv[1])
SEIZE, INTERRUPT = 0x4206, 0x4207
for request in SEIZE, INTERRUPT:
    if libc.ptrace(request, tid, None, None):
        sys.exit("ptrace: " + os.strerror(ctypes.get_errno()))
print("held", flush=True)
end = time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    if os.waitpid(tid, os.WNOHANG | 0x40000000)[0] and not os.path.exists("/proc/%d/task/%d/fd/0" % (tid, tid)):
        sys.exit(0)
    time.sleep(0.05)
sys.exit("not ended")
END

begin() {
	KILOWG_WATCHDOG=$1 "$KILOWG_USERSPACE" -f wg0 2>"$T/log" &
	daemon=$!
	wait_for 20 wg show wg0 || bail "$(cat "$T/log")"
}
# Each takes as long as the machine does: what is waited for is time in which nothing may happen.
lives() { sleep "$1" && kill -0 "$daemon" && wg show wg0; }

begin 5
must kill -STOP "$daemon"
sleep 12	# stopped for longer than an answer may take
must kill -CONT "$daemon"
check 'one that was stopped goes on' lives 8

python3 "$T/hold.py" "$daemon" 120 >"$T/held" 2>&1 &
holder=$!
wait_for 10 test -s "$T/held"
if grep -q ptrace: "$T/held"; then
	skip 'one whose thread hangs' "$(cat "$T/held")"
	kill "$daemon"
else
	wait "$daemon"
	is 'one whose thread hangs ends' 1 $?
	is 'and says why' 'ERROR: (wg0) the data plane does not answer: ending, to be started again' "$(cat "$T/log")"
	check 'its interface has gone' wait_for 20 gone ip link show wg0
	kill "$holder" 2>/dev/null
fi

begin 0
python3 "$T/hold.py" "$daemon" 9 >"$T/held" 2>&1
like 'without a watchdog it hangs' "$T/held" 'not ended|ptrace:'
kill "$daemon"
wait "$daemon"
is 'until that is over' 0 $?
finish
