// Command waggle balances over the tasks of Docker Swarm services, as an HAProxy configuration says.
package main

import (
	"context"
	"os"

	"waggle/pkg/cli"
	"waggle/pkg/lab"
)

func main() {
	lab.Main() // plays the part of an actor of `waggle demo`, if this process is one
	os.Exit(cli.Run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
