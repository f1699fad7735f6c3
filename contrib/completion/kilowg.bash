# SPDX-License-Identifier: ISC
# Completion of kilowg(8) for bash: commands, options, and names of nodes and
# peers from the configuration.

_kilowg_names()
{
	kilowg --json check 2>/dev/null | sed -n 's/^   "name": "\(.*\)",*$/\1/p'
}

_kilowg()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words

	case $prev in
	-f|--file) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	-n|--node|node|peer) words=$(_kilowg_names) ;;
	-i|--interface) words=$(ls /sys/class/net) ;;
	showconf) words="node peer" ;;
	*)
		if [[ $cur == -* ]]; then
			words="--file --node --interface --json --quiet --verbose --version --help
				--keep --keys --live --strict --dry-run --wait --switch-backend --mesh --all
				--as-peer --allowed-ip --probe --confirm --supersede --lock-timeout --diff --when-due
				--format --private-key --qr --qr-svg --qr-png --openmetrics --output
				--allow-shrink --leave --unless-down --closed-only --keep-closed"
		else
			words="check plan diff apply confirm rollback history down watch status metrics showconf graph detect facts genkey genpsk pubkey"
		fi ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F _kilowg kilowg
