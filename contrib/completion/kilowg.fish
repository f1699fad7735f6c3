# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
# Completion of kilowg(8) for fish. The program knows what may follow.

function __kilowg_complete
	set -l words (commandline -opc)
	set -l word (commandline -ct)
	set -l program $words[1]
	set -e words[1]
	for line in ($program complete -- $words "$word" 2>/dev/null)
		if test "$line" != :files
			echo $line
		else if string match -q -- '--*=*' $word
			set -l option (string replace -r '=.*' '=' -- $word)
			for path in (__fish_complete_path (string replace -r '^[^=]*=' '' -- $word))
				echo $option$path
			end
		else
			__fish_complete_path $word
		end
	end
end

complete -c kilowg -f -a '(__kilowg_complete)'
