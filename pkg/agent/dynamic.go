package agent

import (
	"context"
	"errors"
	"strings"
	"time"

	"waggle/pkg/check"
	"waggle/pkg/config"
	"waggle/pkg/pool"
)

// control implements [runtimeapi.Control].
type control struct{ a *Agent }

var errNoBackend = errors.New("No such backend.") //nolint:staticcheck // HAProxy's words

// AddServer adds a server that takes its checks from its backend, as one of the configuration does.
func (c control) AddServer(b *pool.Backend, name string, words []string) error {
	c.a.changing.Lock()
	defer c.a.changing.Unlock()
	if b = c.a.Pool().Backend(b.Name); b == nil { // a reload came first
		return errNoBackend
	}
	line, remarks, err := config.ParseDynamicServer(name, words)
	if err != nil {
		return err
	}
	for _, r := range remarks {
		c.a.log.Info("server added at run time", "backend", b.Name, "server", name, "remark", r.Text)
	}
	proxy := c.a.proxy(b.Name)
	s, err := b.AddDynamic(serverOptions(proxy, line), line.ID)
	if err != nil {
		return err
	}
	if err := c.a.kernel.welcome(s); err != nil {
		return errors.Join(err, s.RemoveDynamic())
	}
	c.a.now().checker.Add(check.SpecOf(s, proxy, line, c.a.nodeName()))
	c.a.log.Info("server added at run time", "backend", b.Name, "server", name, "parameters", strings.Join(words, " "))
	return nil
}

// RemoveServer ends a server's checks, too.
func (c control) RemoveServer(s *pool.Server) error {
	c.a.changing.Lock()
	defer c.a.changing.Unlock()
	if s = c.a.Pool().Same(s); s == nil { // a reload came first
		return pool.ErrServerGone
	}
	if err := s.RemoveDynamic(); err != nil {
		return err
	}
	c.a.now().checker.Remove(s)
	c.a.kernel.dismiss(s)
	c.a.log.Info("server removed at run time", "backend", s.Backend.Name, "server", s.Name)
	return nil
}

// SetName lasts until the configuration names another name.
func (c control) SetName(s *pool.Server, fqdn, by string) error {
	c.a.changing.Lock()
	defer c.a.changing.Unlock()
	return c.a.now().names.rename(s, fqdn, by)
}

// switchPatience bounds how long the event loops may take to follow an operator; they do within milliseconds.
const switchPatience = 2 * time.Second

// SwitchFrontend has the kernel path follow, too, by the pool's change.
func (c control) SwitchFrontend(f *pool.Frontend, to pool.Switch) error {
	f.SetSwitch(to)
	ctx, cancel := context.WithTimeout(context.Background(), switchPatience)
	defer cancel()
	err := c.a.engine.FollowSwitch(ctx, f)
	if c.a.kernel.path() != nil {
		c.a.kernel.sync()
	}
	c.a.log.Warn(map[pool.Switch]string{
		pool.SwitchedOff: "frontend paused by an operator", pool.SwitchedOn: "frontend resumed by an operator",
		pool.ShutDown: "frontend shut down by an operator",
	}[to], "frontend", f.Name)
	return err
}

// proxy finds a section of the configuration that has a backend.
func (a *Agent) proxy(backend string) *config.Proxy {
	for _, p := range a.now().cfg.Proxies {
		if p.Name == backend && p.Kind.HasBackend() {
			return p
		}
	}
	return &config.Proxy{Name: backend}
}
