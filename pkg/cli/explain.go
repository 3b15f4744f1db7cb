package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"

	"waggle/pkg/config"
	"waggle/pkg/offload"
	"waggle/pkg/unixaddr"
)

// explainCommand prints the path of each frontend. It needs no privileges: the verdict is a function of
// the configuration alone.
func explainCommand(_ context.Context, e Env, args []string) int {
	s, err := parseFlags(e, args)
	if err != nil {
		return failUsage(e, err)
	}
	s.quiet = true // the configuration's remarks belong to `check`
	cfg, code := load(e, s)
	if cfg == nil {
		return code
	}
	verdicts := offload.Explain(cfg)
	if s.json {
		return explainJSON(e, verdicts, backends(cfg))
	}
	if len(verdicts) == 0 {
		fmt.Fprintln(e.Stdout, "The configuration has no frontend.")
	}
	for _, v := range verdicts {
		explainFrontend(e.Stdout, v)
	}
	for _, p := range backends(cfg) {
		explainBackend(e.Stdout, p)
	}
	return ExitOK
}

// backends are the proxies with servers that are in use, in file order.
func backends(cfg *config.Config) []*config.Proxy {
	var all []*config.Proxy
	for _, p := range cfg.Proxies {
		if p.Kind.HasBackend() && len(p.Servers) > 0 && !p.Disabled {
			all = append(all, p)
		}
	}
	return all
}

func explainFrontend(w io.Writer, v offload.Verdict) {
	var binds []string
	for _, b := range v.Proxy.Binds {
		binds = append(binds, unixaddr.String(b.Addr))
	}
	fmt.Fprintf(w, "frontend %s (%s): %s\n", v.Proxy.Name, strings.Join(binds, ", "), pathOf(v))
	if v.Kernel {
		fmt.Fprintf(w, "  plain TCP to backend %s; the listening socket stays behind it for what the kernel cannot serve\n", v.Backend.Name)
	}
	for _, r := range v.Reasons {
		fmt.Fprintf(w, "  %s  [%s]\n", r.Text, r.Pos)
	}
}

// pathOf is the path in one word.
func pathOf(v offload.Verdict) string {
	if v.Kernel {
		return "kernel"
	}
	return "userspace"
}

func explainBackend(w io.Writer, p *config.Proxy) {
	fmt.Fprintf(w, "backend %s: balance %s\n", p.Name, algorithm(p))
	for i := range p.Servers {
		s := &p.Servers[i]
		name := s.Name
		if s.Template() {
			name = fmt.Sprintf("%s%d..%d", s.Name, s.Low, s.High)
		}
		fmt.Fprintf(w, "  %s: %s\n", name, origin(s))
	}
}

func algorithm(p *config.Proxy) string { return cmp.Or(p.Balance.Algorithm, "roundrobin") }

// origin says where a server's address comes from.
func origin(s *config.Server) string {
	switch {
	case s.Addr.Addr().IsValid():
		return unixaddr.String(s.Addr)
	case s.Resolvers != "":
		return fmt.Sprintf("tasks of %s, port %d, by resolvers %s", s.Host, s.Addr.Port(), s.Resolvers)
	default:
		return fmt.Sprintf("%s, port %d, resolved once at start", s.Host, s.Addr.Port())
	}
}
