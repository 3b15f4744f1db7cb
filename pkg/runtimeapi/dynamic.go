package runtimeapi

import (
	"strconv"
	"strings"
	"time"

	"waggle/pkg/pool"
)

// Control makes changes that reach beyond the pool: into health checks, say.
type Control interface {
	// AddServer adds a server to a backend. Words are the address and the parameters, as on a `server`
	// line. The error is a sentence for the operator.
	AddServer(b *pool.Backend, name string, words []string) error
	// RemoveServer takes a server out of its backend for good, if it can be.
	RemoveServer(s *pool.Server) error
	// SetName has discovery find a server by another name, which is one. by is who wants it, for the log.
	SetName(s *pool.Server, fqdn, by string) error
	// SwitchFrontend has a frontend's listeners on both paths do what is wanted, and waits until they have.
	SwitchFrontend(f *pool.Frontend, to pool.Switch) error
}

func dynamicCommands() []command {
	return []command{
		{[]string{"add", "server"}, Admin, "add server <bk>/<srv> <addr>[:<port>] [<parameter>]*", "add a server, which starts in maintenance", addServer},
		{[]string{"del", "server"}, Admin, "del server <bk>/<srv>", "remove a server that is in maintenance and idle", delServer},
		{[]string{"wait"}, User, "wait {-h|<delay>} [srv-removable <bk>/<srv>]", "wait for a time, or for a server that can be removed", wait},
	}
}

// noControl is the answer where nothing implements Control.
const noControl = "Servers cannot be added or removed here.\n"

func addServer(c *session, args []string) string {
	backend, name, ok := strings.Cut(word(args, 0), "/")
	if !ok || name == "" {
		return "Require 'backend/server'."
	}
	for _, p := range c.snapshot().Proxies {
		if p.Backend == nil || p.Backend.Name != backend {
			continue
		}
		if !dynamicBalance(&p) {
			return "Backend must use a dynamic load balancing to support dynamic servers."
		}
		switch {
		case c.server.opts.Control == nil:
			return noControl
		case len(args) < 2:
			return "'server' expects <name> and <addr>[:<port>] as arguments.\n"
		}
		if err := c.server.opts.Control.AddServer(p.Backend, name, args[1:]); err != nil {
			return err.Error() + "\n"
		}
		return "New server registered.\n"
	}
	return "No such backend."
}

func delServer(c *session, args []string) string {
	s, _, msg := c.target(args)
	switch {
	case msg != "":
		return strings.TrimSuffix(msg, "\n")
	case c.server.opts.Control == nil:
		return noControl
	}
	if err := c.server.opts.Control.RemoveServer(s); err != nil {
		return err.Error()
	}
	return "Server deleted."
}

// waitStep is how often the condition of a `wait` is looked at.
const waitStep = 50 * time.Millisecond

const waitHelp = `Usage: wait {-h|<delay>} [<condition> [<args>...]]
  Waits for the delay, which is in milliseconds without a unit, or until the condition holds:
  - srv-removable <backend>/<server> : the server can be removed
`

func wait(c *session, args []string) string {
	delay, err := cliDelay(word(args, 0), "ms")
	if err != nil || word(args, 0) == "-h" {
		return waitHelp
	}
	end := time.NewTimer(delay)
	defer end.Stop()
	var s *pool.Server
	switch word(args, 1) {
	case "":
	case "srv-removable", "srv-unused":
		var msg string
		if s, _, msg = c.target(args[2:]); msg != "" {
			return msg
		}
	default:
		return waitHelp
	}
	look := time.NewTicker(waitStep)
	defer look.Stop()
	for {
		if s != nil && s.Removable() == nil {
			return "Done.\n"
		}
		select {
		case <-c.ctx.Done():
			return ""
		case <-look.C:
		case <-end.C:
			if s == nil {
				return "Done.\n"
			}
			if err := s.Removable(); err != nil {
				return "Wait delay expired. " + err.Error() + "\n"
			}
			return "Done.\n"
		}
	}
}

// cliDelay reads a time; a bare number is in the given unit.
func cliDelay(text, unit string) (time.Duration, error) {
	if _, err := strconv.Atoi(text); err == nil {
		text += unit
	}
	d, err := time.ParseDuration(text)
	if err == nil && (d < 0 || d > maxIdle) {
		err = strconv.ErrRange
	}
	return d, err
}
