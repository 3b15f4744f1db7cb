package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"

	"waggle/pkg/agent"
)

func versionCommand(_ context.Context, e Env, args []string) int {
	s, err := parseFlags(e, args)
	if err != nil {
		return failUsage(e, err)
	}
	return printVersion(e, true, s.json)
}

func printVersion(e Env, long, asJSON bool) int {
	v := agent.BuildVersion()
	if asJSON {
		if err := json.NewEncoder(e.Stdout).Encode(v); err != nil {
			return failStart(e, err)
		}
		return ExitOK
	}
	fmt.Fprintf(e.Stdout, "waggle version %s\n", v.Version)
	fmt.Fprintf(e.Stdout, "Reads the configuration of HAProxy version %s\n", agent.HAProxyVersion)
	if long {
		fmt.Fprintf(e.Stdout, "Revision: %s\nBuilt with: %s for %s\n", cmp.Or(v.Revision, "unknown"), v.Go, v.Platform)
	}
	return ExitOK
}
