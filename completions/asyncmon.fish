# fish completion of asyncmon. What may stand where the cursor is, asyncmon says itself:
# a word a line, a tab, and what the word is.
function __asyncmon_complete
    set -l words (commandline -opc)
    # Without its quotes, of which one may be open.
    set -l current (string replace -r "^['\"]" '' -- (commandline -ct) | string replace -ra '\\\\(.)' '$1')
    for line in ($words[1] __complete fish $words[2..-1] "$current" 2>/dev/null)
        switch $line
            case ':files*'
                __fish_complete_path "$current"
            case ':goes-on*'
            case '*'
                echo -- $line
        end
    end
end
complete -c asyncmon -f -a '(__asyncmon_complete)'
