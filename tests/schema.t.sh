#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# What the program prints as JSON of many meshes, against the schemas that it is installed with.
# Of what hosts answer, see tests/netns/schema.sh.

# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/lib.sh"
top=$(cd -- "${top_srcdir:-$lib_dir/..}" && pwd -P)
python=$(json_python) || cannot 'there is no python3 with jsonschema'
T=$(mktemp -d) || bail 'mktemp fails'
trap 'rm -rf "$T"' EXIT
trap 'exit 99' HUP INT TERM

# All that the others do not have.
cat >"$T/all.ini" <<'END'
[mesh]
format = 1
encapsulation = always
encapsulation-protocol = vxlan
granularity = location
node-requirements = minimal

[local]
fail-closed = yes
allow-cover = 192.168.8.0/24

[node]
name = a
location = x
endpoint = 203.0.113.1:51820
internal-ip = 10.1.1.1/24
pod-cidr = 10.2.1.0/24
public-key = 8Xo8nWPqVMD6YtHyhgY3G9a5vPYkn4cXY3Qm7K0Jyxk=
allowed-location-ip = 192.168.7.0/24

[node]
name = b
location = x
endpoint = 10.1.1.2:51820
internal-ip = 10.1.1.2/24
pod-cidr = 10.2.2.0/24
public-key = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=

[node]
name = c
location = y
endpoint = c.example.net:51820
endpoint-address = 203.0.113.3
internal-ip = 10.1.3.3/24
pod-cidr = 10.2.3.0/24
public-key = TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=

[peer]
name = laptop
public-key = gN65BkIKy1eCE9pP1wdc8ROUtkHLF2PfAqYdyYBz6EA=
address = 10.5.0.1/32
dns = 10.2.1.53
allowed-ip = 10.5.0.1/32
preshared-key = FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE=
END

"$python" "$top/tests/schema.py" "$top/etc/schema" meshes "$KILOWG" "$top/tests/golden/data" \
	"$T/all.ini" "$top/etc/kilowg.ini.example" "$top"/tests/config/*.ini
