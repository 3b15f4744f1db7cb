package cli

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"waggle/pkg/agent"
)

// askTimeout bounds a question to the running waggle; a listing of a million flows takes seconds.
const askTimeout = 30 * time.Second

// flowsCommand lists the connections of the kernel path.
func flowsCommand(ctx context.Context, e Env, args []string) int {
	return ask(ctx, e, "show flows", args)
}

// traceCommand asks what would happen to a connection. An arrow between the two may be there, in quotes.
func traceCommand(ctx context.Context, e Env, args []string) int {
	return ask(ctx, e, "trace", args)
}

// ask has the running waggle run a command of its Runtime API. Words without a dash are its arguments. What is asked for
// begins with '#', or '{' if JSON is wanted; a complaint does not.
func ask(ctx context.Context, e Env, command string, args []string) int {
	var flags []string
	for _, word := range args {
		if strings.HasPrefix(word, "-") && word != "->" {
			flags = append(flags, word)
			continue
		}
		if strings.ContainsAny(word, " \t\r\n;\\") {
			return failUsage(e, usageError{fmt.Sprintf("%q is no word of a command", word)})
		}
		command += " " + word
	}
	s, err := parseFlags(e, flags)
	if err != nil {
		return failUsage(e, err)
	}
	answer, ok := answerOf(ctx, e, s, command)
	if !ok {
		return ExitFailed
	}
	text := bytes.TrimRight(answer, "\n")
	if !bytes.HasPrefix(text, []byte("#")) && !bytes.HasPrefix(text, []byte("{")) {
		fmt.Fprintf(e.Stderr, "waggle: %s\n", text)
		return ExitFailed
	}
	fmt.Fprintf(e.Stdout, "%s\n", text)
	return ExitOK
}

// answerOf is what the running waggle answers to a command, in JSON if that is wanted. ok is false if that failed, which has
// been said then.
func answerOf(ctx context.Context, e Env, s *settings, command string) (answer []byte, ok bool) {
	if s.json {
		command += " json"
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var out bytes.Buffer
	if err := agent.Ask(ctx, s.healthSocket, command, &out); err != nil {
		fmt.Fprintf(e.Stderr, "waggle: %v\n", err)
		return nil, false
	}
	return out.Bytes(), true
}
