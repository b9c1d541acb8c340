# bash completion of asyncmon. What may stand where the cursor is, asyncmon says itself:
# a word a line, a tab, and what the word is.
_asyncmon()
{
	local i word about line=${COMP_LINE:0:COMP_POINT}
	local -a lines words abouts
	mapfile -t lines < <("$1" __complete bash "$line" 2>/dev/null)
	COMPREPLY=()
	for line in "${lines[@]}"; do
		word=${line%%$'\t'*} about=${line#*$'\t'}
		case $word in
		:files) compopt -o default ;;
		:goes-on) compopt -o nospace ;;
		*) words+=("$word") abouts+=("$about")
		   # Has readline quote what the shell would take apart.
		   [[ $word == *[^A-Za-z0-9_./:=,@%+-]* ]] && compopt -o filenames ;;
		esac
	done
	# A list to look at says what the words are.
	if [[ $COMP_TYPE == 63 && ${#words[@]} -gt 1 ]]; then
		for ((i = 0; i < ${#words[@]}; i++)); do
			COMPREPLY+=("${words[i]}${abouts[i]:+  (${abouts[i]})}")
		done
	else
		COMPREPLY=("${words[@]}")
	fi
}
complete -F _asyncmon asyncmon
