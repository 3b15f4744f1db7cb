package cli

import (
	"context"
	"fmt"
	"time"

	"waggle/pkg/agent"
)

// healthTimeout bounds a health check; container engines give it a few seconds.
const healthTimeout = 2 * time.Second

// healthcheckCommand asks the waggle of this network namespace whether its event loops turn. It says
// nothing about backends: Swarm kills an unhealthy task, and a balancer without servers must live.
func healthcheckCommand(ctx context.Context, e Env, args []string) int {
	s, err := parseFlags(e, args)
	if err != nil {
		return failUsage(e, err)
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	if err := agent.AskHealth(ctx, s.healthSocket); err != nil {
		fmt.Fprintf(e.Stderr, "unhealthy: %v\n", err)
		return ExitFailed
	}
	if !s.quiet {
		fmt.Fprintln(e.Stdout, "healthy")
	}
	return ExitOK
}
