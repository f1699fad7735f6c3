#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# contrib/container: what build asks of podman, buildah and docker (which are stand-ins here: a
# real one needs a registry), the commands of the Containerfile, and the list of what is in an image.

# shellcheck disable=SC2034,SC2154,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"

top=$(cd -- "${top_srcdir:-$lib_dir/..}" && pwd -P)
container=$top/contrib/container
T=$(mktemp -d) || bail 'mktemp fails'
trap 'rm -rf "$T"' EXIT
mkdir "$T/bin"
for tool in podman buildah docker; do
	# shellcheck disable=SC2016  # for that script
	printf '#!/bin/sh\nprintf "%%s|" "${0##*/}" "$@"\necho\n' >"$T/bin/$tool"
	chmod +x "$T/bin/$tool"
done
PATH=$T/bin:$PATH
SOURCE_DATE_EPOCH=7
export SOURCE_DATE_EPOCH
version=$(sed -n 's/^AC_INIT(\[kilowg\], \[\([^]]*\)\].*/\1/p' "$top/configure.ac")

for tool in podman buildah docker; do
	expect 0 "$tool" "$container/build" --tool $tool --snapshot 20261101T000000Z \
		--archive https://archive.example.org/ --build-arg "A=b c"
	is "$tool: both images" "kilowg:$version wireguard-go:0.0.20220316 " \
		"$(sed 's/.*|-t|\([^|]*\)|.*/\1/' "$T/out" | tr '\n' ' ')"
	is "$tool: with their targets" 'kilowg wireguard-go ' "$(sed 's/.*|--target|\([^|]*\)|.*/\1/' "$T/out" | tr '\n' ' ')"
	like "$tool: with the snapshot, the time, and what it was told" "$T/out" \
		'\|SNAPSHOT=20261101T000000Z\|--build-arg\|ARCHIVE=https://archive\.example\.org\|--build-arg\|SOURCE_DATE_EPOCH=7\|--build-arg\|A=b c\|'
done
expect 0 'of those that are there the first is taken' "$container/build" kilowg
like 'which is podman' "$T/out" '^podman\|build\|--timestamp\|7\|'
expect 0 'one image, to a registry' "$container/build" --tool buildah --repository r.example.org/me --push kilowg
is 'is pushed' "buildah|push|r.example.org/me/kilowg:$version|" "$(tail -n 1 "$T/out")"
expect 0 'what would be done' "$container/build" --print kilowg
check 'are words of a shell' sh -n "$T/out"
expect 2 'a target that is none' "$container/build" kilowgs
like 'is named' "$T/err" '"kilowgs" is neither'
expect 2 'a snapshot that is none' "$container/build" --snapshot yesterday
expect 2 'a snapshot from nowhere' "$container/build" --snapshot 20261101T000000Z
expect 2 'an option without its value' "$container/build" --tool

# Each RUN is a command of a shell, each COPY of a stage names one that is there.
awk '/^RUN /, !/\\$/ { sub(/^RUN /, ""); print; if (!/\\$/) print "" }' "$container/Containerfile" >"$T/run"
check 'the commands of the Containerfile are such' sh -n "$T/run"
is 'there are some' yes "$([ "$(grep -c apt-get "$T/run")" -ge 5 ] && echo yes)"
is 'stages are there before they are used' '' "$(awk '/^FROM / { if ($2 !~ /:/ && !($2 in seen)) print $2; seen[$4] = 1 }
	/^COPY --from=/ { sub(/.*=/, "", $2); if (!($2 in seen)) print $2 }' "$container/Containerfile")"

if ! command -v dpkg-query >/dev/null || ! dpkg-query -W base-files >/dev/null 2>&1; then
	skip 'the list of what is in an image' 'this is no Debian'
elif ! command -v jq >/dev/null; then
	skip 'the list of what is in an image' 'there is no jq'
else
	expect 0 'the list of what is in an image' "$container/sbom" image 1 kilowg=1=ISC
	cp "$T/out" "$T/first"
	is 'has all packages, one of its own, and the image' "$(($(dpkg-query -W | wc -l) + 2))" "$(jq '.packages | length' "$T/out")"
	is 'each with a name of its own' true "$(jq '[.packages[].SPDXID] | length == (unique | length)' "$T/out")"
	is 'and each in the image' true "$(jq '([.relationships[].relatedSpdxElement] | sort) == ([.packages[].SPDXID] | sort)' "$T/out")"
	is 'base-files with its version' "$(dpkg-query -W -f '${Version}' base-files)" \
		"$(jq -r '.packages[] | select(.name == "base-files").versionInfo' "$T/out")"
	is 'made at the time that it was told' 1970-01-01T00:00:07Z "$(jq -r .creationInfo.created "$T/out")"
	expect 0 'again' "$container/sbom" image 1 kilowg=1=ISC
	check 'it is the same' cmp -s "$T/first" "$T/out"
fi
if command -v shellcheck >/dev/null; then
	check shellcheck shellcheck "$container/build" "$container/sbom"
else
	skip shellcheck 'it is not there'
fi
finish
