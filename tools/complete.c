/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Completion: each shell gets a small script that asks the tool what may come next (suggest.c), and
 * takes names of files where that is nothing.
 */
#include "tools/help.h"

#include "common/own.h"

#include <string.h>

/* Words are taken from the line, because bash cuts them at the colons of iSCSI names. */
static const char bash[] =
	"# completion of kura(8) for bash\n"
	"_kura() {\n"
	"\tlocal line=${COMP_LINE:0:COMP_POINT} words cut\n"
	"\tread -ra words <<<\"$line\"\n"
	"\t[[ $line != *[[:space:]] ]] || words+=(\"\")\n"
	"\tmapfile -t COMPREPLY < <(\"${words[0]}\" complete \"${words[@]:1}\" 2>/dev/null)\n"
	"\tCOMPREPLY=(\"${COMPREPLY[@]%%$'\\t'*}\")\n"
	"\tcut=${words[-1]%\"${words[-1]##*[:=]}\"}\n"
	"\tCOMPREPLY=(\"${COMPREPLY[@]#\"$cut\"}\")\n"
	"}\n"
	"complete -o default -F _kura kura\n";

static const char zsh[] =
	"#compdef kura\n"
	"# completion of kura(8) for zsh\n"
	"_kura() {\n"
	"\tlocal line word\n"
	"\tlocal -a found\n"
	"\tfor line in \"${(@f)$(\"${(Q)words[1]}\" complete \"${(@Q)words[2,CURRENT]}\" "
	"2>/dev/null)}\"; do\n"
	"\t\t[[ -n $line ]] || continue\n"
	"\t\tword=${line%%$'\\t'*}\n"
	"\t\tfound+=(\"${word//:/\\\\:}${${line#$word}/$'\\t'/:}\")\n"
	"\tdone\n"
	"\tif (( $#found )); then\n"
	"\t\t_describe -V kura found\n"
	"\telse\n"
	"\t\t_files\n"
	"\tfi\n"
	"}\n"
	"if [[ $funcstack[1] = _kura ]]; then _kura \"$@\"; else compdef _kura kura; fi\n";

static const char fish[] = "# completion of kura(8) for fish\n"
			   "function __kura_next\n"
			   "\tset -l words (commandline -opc) (commandline -ct)\n"
			   "\tset -l found ($words[1] complete $words[2..] 2>/dev/null)\n"
			   "\tif test -n \"$found\"\n"
			   "\t\tprintf '%s\\n' $found\n"
			   "\telse\n"
			   "\t\t__fish_complete_path (commandline -ct)\n"
			   "\tend\n"
			   "end\n"
			   "complete -c kura -f -k -a '(__kura_next)'\n";

bool complete_print(FILE *f, const char *shell)
{
	static const struct {
		const char *shell, *script;
	} scripts[] = { { "bash", bash }, { "zsh", zsh }, { "fish", fish } };

	for (unsigned i = 0; i < own_array_len(scripts); i++) {
		if (strcmp(scripts[i].shell, shell) != 0)
			continue;
		fputs(scripts[i].script, f);
		return true;
	}
	return false;
}
