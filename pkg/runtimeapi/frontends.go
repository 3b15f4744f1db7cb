package runtimeapi

import (
	"strings"

	"waggle/pkg/pool"
)

func frontendCommands() []command {
	return []command{
		{[]string{"disable", "frontend"}, Admin, "disable frontend <frontend>", "refuse connections to a frontend for a while", switchFrontend(pool.SwitchedOff)},
		{[]string{"enable", "frontend"}, Admin, "enable frontend <frontend>", "take connections to a frontend again", switchFrontend(pool.SwitchedOn)},
		{[]string{"shutdown", "frontend"}, Admin, "shutdown frontend <frontend>", "close a frontend's listeners for good", switchFrontend(pool.ShutDown)},
	}
}

// switchFrontend makes a command that turns a frontend's listeners on or off; those that stand already, and orders that come
// too late, are refused in HAProxy's words.
func switchFrontend(to pool.Switch) func(*session, []string) string {
	return func(c *session, args []string) string {
		f, msg := c.frontend(args)
		if msg != "" {
			return msg
		}
		was := f.Switch()
		switch {
		case was == pool.ShutDown && to == pool.SwitchedOn:
			return "Frontend was previously shut down, cannot enable.\n"
		case was == pool.ShutDown && to == pool.SwitchedOff:
			return "Frontend was previously shut down, cannot disable.\n"
		case was == pool.ShutDown:
			return "Frontend was already shut down.\n"
		case was == to && to == pool.SwitchedOn:
			return "All sockets are already enabled.\n"
		case was == to:
			return "All sockets are already disabled.\n"
		case c.server.opts.Control == nil:
			return "Frontends cannot be switched here.\n"
		}
		if err := c.server.opts.Control.SwitchFrontend(f, to); err != nil {
			return "Not all of the frontend's sockets have followed: " + strings.TrimSpace(err.Error()) + ".\n"
		}
		return ""
	}
}
