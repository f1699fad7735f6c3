#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# kilowg and the socket of its daemon: a port that somebody else has, many clients at once, and
# servers that kilowg must not wait for, or talk to.
#
#   pod 10.2.2.2        pod 10.2.1.2               pod 10.2.3.2
#        |                   |                          |
#        b ------- lan ----- a ---------- wan --------- c
#     .2   10.1.1.0/24   .1    .1  203.0.113.0/24   .3

# shellcheck disable=SC2046,SC2119,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping python3
use_userspace
backend=userspace
three_nodes


# WORDS...: uapi.py on node a, in the background. Waits until it says which process it is: $other.
begin() {
	: >"$T/other"
	on a "$@" >"$T/other" &
	wait_for 20 test -s "$T/other" || bail "$* does not begin"
	other=$(cat "$T/other")
}
end() {
	kill "$other"
	wait
}
python=$(command -v python3)

# ---- the port --------------------------------------------------------------

begin "$python" "$lib_dir/netns/uapi.py" hold 51820
expect 2 'the port is taken when the daemon is configured: apply fails' kwg a apply
like 'and names the port and who has it' "$T/err" 'UDP port 51820 is in use, by python3? \(process [0-9]+\)'
check 'nothing is left behind' gone on a ip link show kilo0
end
must kwg c apply
expect 0 'once it is free, apply succeeds' kwg a apply
check 'packets flow' reaches c 10.2.1.2

must on a ip link set kilo0 down
begin "$python" "$lib_dir/netns/uapi.py" hold 51820
expect 2 'the port is taken while the link is down: apply fails' kwg a apply
like 'and names the port and who has it' "$T/err" 'UDP port 51820 is in use, by python3? \(process [0-9]+\)'
end
expect 0 'once it is free, apply succeeds' kwg a apply
check 'packets flow' reaches a 10.2.3.2

# ---- many clients ----------------------------------------------------------

check '300 clients at once are all answered' on a "$python" "$lib_dir/netns/uapi.py" crowd /run/wireguard/kilo0.sock 300

# ---- other servers ---------------------------------------------------------

must kwg a down
must on a ip tuntap add kilo0 mode tun
begin "$python" "$lib_dir/netns/uapi.py" drip /run/wireguard/kilo0.sock
run kwg a status
is 'a server that never ends its answer: status comes to an end' 2 "$status"
like 'and says so' "$T/err" 'does not answer within 5 s'
end
rm -f "$T/nodes/a/wireguard/kilo0.sock"

own=$(python3 -c 'import sys; print(sys.executable)')
[ ! -x /usr/bin/python3 ] || own=/usr/bin/python3
cp "$lib_dir/netns/uapi.py" "$T/" && chmod 755 "$T"
if chmod 777 "$T/nodes/a/wireguard" && setpriv --reuid=1 --clear-groups "$own" -c '' 2>/dev/null; then
	begin setpriv --reuid=1 --clear-groups "$own" "$T/uapi.py" drip /run/wireguard/kilo0.sock
	run on a "$KILOWG" -f "$mesh_ini" -f "$T/local.ini" --node a apply
	is 'the socket is of another user: apply does not talk to it' 2 "$status"
	like 'and says so' "$T/err" 'who listens on .*kilo0.sock is neither root nor the user'
	end
else
	skip 'the socket is of another user' 'there is no other user here'
fi

finish
