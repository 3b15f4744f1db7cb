package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// completionCommand prints a script that completes commands and flags in a shell. It is made of the tables that
// the command line is read by.
func completionCommand(_ context.Context, e Env, args []string) int {
	shells := map[string]func(io.Writer){"bash": completeBash, "zsh": completeZsh, "fish": completeFish}
	if len(args) != 1 || shells[args[0]] == nil {
		return failUsage(e, usageError{"completion is for one of: bash, zsh, fish"})
	}
	shells[args[0]](e.Stdout)
	return ExitOK
}

func commandNames() string {
	var names []string
	for _, c := range commands() {
		names = append(names, c.name)
	}
	return strings.Join(names, " ")
}

// flagWords are all flags as they are typed; those with a value end as it begins.
func flagWords() string {
	var words []string
	for _, f := range haproxyFlags() {
		words = append(words, "-"+f.name)
	}
	for _, f := range ownFlags() {
		word := "--" + f.name
		if f.takesValue() {
			word += "="
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func completeBash(w io.Writer) {
	fmt.Fprintf(w, `# waggle in bash: source <(waggle completion bash)
_waggle() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
  case $prev in
    -f) COMPREPLY=($(compgen -f -- "$cur")); return ;;
    completion) COMPREPLY=($(compgen -W "bash zsh fish" -- "$cur")); return ;;
    help) COMPREPLY=($(compgen -W "%[1]s flags" -- "$cur")); return ;;
  esac
  if [ "$COMP_CWORD" = 1 ] && [ "${cur#-}" = "$cur" ]; then
    COMPREPLY=($(compgen -W "%[1]s help" -- "$cur"))
  else
    COMPREPLY=($(compgen -W "%[2]s --help" -- "$cur"))
  fi
}
complete -o nospace -F _waggle waggle
`, commandNames(), flagWords())
}

func completeZsh(w io.Writer) {
	fmt.Fprint(w, "#compdef waggle\n# waggle in zsh: waggle completion zsh > \"${fpath[1]}/_waggle\"\n_waggle() {\n  local -a words_ flags_\n  words_=(\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "    %s\n", singleQuote(c.name+":"+c.summary))
	}
	fmt.Fprintf(w, "  )\n  flags_=(%s)\n", flagWords())
	fmt.Fprint(w, `  if [[ $words[CURRENT-1] == -f ]]; then _files
  elif [[ $words[CURRENT-1] == completion ]]; then compadd bash zsh fish
  elif [[ $words[CURRENT-1] == help ]]; then _describe command words_
  elif (( CURRENT == 2 )) && [[ $words[CURRENT] != -* ]]; then _describe command words_
  else compadd -S '' -- $flags_
  fi
}
compdef _waggle waggle
`)
}

func completeFish(w io.Writer) {
	fmt.Fprintln(w, "# waggle in fish: waggle completion fish | source")
	for _, c := range commands() {
		fmt.Fprintf(w, "complete -c waggle -n __fish_use_subcommand -f -a %s -d %s\n", c.name, singleQuote(c.summary))
	}
	for _, f := range haproxyFlags() {
		need := ""
		if f.takesValue() {
			need = " -r"
		}
		fmt.Fprintf(w, "complete -c waggle -o %s%s -d %s\n", f.name, need, singleQuote(f.doc))
	}
	for _, f := range ownFlags() {
		need := ""
		if f.takesValue() {
			need = " -x"
		}
		fmt.Fprintf(w, "complete -c waggle -l %s%s -d %s\n", f.name, need, singleQuote(f.doc))
	}
	fmt.Fprintln(w, "complete -c waggle -n '__fish_seen_subcommand_from completion' -f -a 'bash zsh fish'")
	fmt.Fprintf(w, "complete -c waggle -n '__fish_seen_subcommand_from help' -f -a '%s flags'\n", commandNames())
}

// singleQuote quotes a text for a shell.
func singleQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
