package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"waggle/pkg/lab"
)

// demoCommand is `waggle demo [--once] [--tasks=N] [-- FLAGS OF RUN]`.
func demoCommand(ctx context.Context, e Env, args []string) int {
	options, err := demoOptions(args)
	if err != nil {
		return failUsage(e, err)
	}
	options.In, options.Out = e.Stdin, e.Stdout
	if err := lab.Demo(ctx, options); err != nil {
		fmt.Fprintf(e.Stderr, "waggle: %v\n", err)
		return ExitFailed
	}
	return ExitOK
}

func demoOptions(args []string) (lab.DemoOptions, error) {
	var o lab.DemoOptions
	for i, word := range args {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "--once":
			o.Once = true
		case "--tasks", "--scale":
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 {
				return o, usageError{fmt.Sprintf("flag %s: %q is not a number of tasks, as in %s=3", name, value, name)}
			}
			o.Tasks = n
		case "--":
			o.ExtraArgs = args[i+1:]
			return o, nil
		default:
			return o, usageError{fmt.Sprintf("demo: unknown flag %q; it takes --once, --tasks=N, and flags of run after --", word)}
		}
	}
	return o, nil
}
