package cli

import (
	"waggle/pkg/config"
	"waggle/pkg/offload"
	"waggle/pkg/unixaddr"
)

// explanation is what `explain --json` prints. Programs read it: names stay, and nothing is taken away.
type explanation struct {
	Frontends []explainedFrontend `json:"frontends"` // and listen sections, in file order
	Backends  []explainedBackend  `json:"backends"`  // those with servers
}

type explainedFrontend struct {
	Frontend string            `json:"frontend"`
	File     string            `json:"file"`
	Line     int               `json:"line"`
	Bind     []string          `json:"bind"`
	Path     string            `json:"path"`              // kernel or userspace
	Backend  string            `json:"backend,omitempty"` // of the kernel path
	Reasons  []explainedReason `json:"reasons,omitempty"` // for userspace
}

type explainedReason struct {
	Text string `json:"text"`
	File string `json:"file"`
	Line int    `json:"line"`
}

type explainedBackend struct {
	Backend string            `json:"backend"`
	File    string            `json:"file"`
	Line    int               `json:"line"`
	Balance string            `json:"balance"`
	Servers []explainedServer `json:"servers"`
}

// explainedServer is a server line. One of Address and Host says where it is.
type explainedServer struct {
	Name      string `json:"name"`            // of a template: the prefix
	Slots     []int  `json:"slots,omitempty"` // of a template: the first and the last number
	Address   string `json:"address,omitempty"`
	Host      string `json:"host,omitempty"`
	Port      int    `json:"port,omitempty"`      // of Host
	Resolvers string `json:"resolvers,omitempty"` // missing: Host is resolved once at start
	File      string `json:"file"`
	Line      int    `json:"line"`
}

func explainJSON(e Env, verdicts []offload.Verdict, backends []*config.Proxy) int {
	out := explanation{Frontends: []explainedFrontend{}, Backends: []explainedBackend{}}
	for _, v := range verdicts {
		out.Frontends = append(out.Frontends, frontendOf(v))
	}
	for _, p := range backends {
		b := explainedBackend{Backend: p.Name, File: p.Pos.File, Line: p.Pos.Line, Balance: algorithm(p)}
		for i := range p.Servers {
			b.Servers = append(b.Servers, serverOf(&p.Servers[i]))
		}
		out.Backends = append(out.Backends, b)
	}
	if err := writeJSON(e.Stdout, out); err != nil {
		return failStart(e, err)
	}
	return ExitOK
}

func frontendOf(v offload.Verdict) explainedFrontend {
	f := explainedFrontend{Frontend: v.Proxy.Name, File: v.Proxy.Pos.File, Line: v.Proxy.Pos.Line, Bind: []string{}, Path: pathOf(v)}
	for _, b := range v.Proxy.Binds {
		f.Bind = append(f.Bind, unixaddr.String(b.Addr))
	}
	if v.Kernel {
		f.Backend = v.Backend.Name
	}
	for _, r := range v.Reasons {
		f.Reasons = append(f.Reasons, explainedReason{Text: r.Text, File: r.Pos.File, Line: r.Pos.Line})
	}
	return f
}

func serverOf(s *config.Server) explainedServer {
	out := explainedServer{Name: s.Name, File: s.Pos.File, Line: s.Pos.Line}
	if s.Template() {
		out.Slots = []int{s.Low, s.High}
	}
	if s.Addr.Addr().IsValid() {
		out.Address = unixaddr.String(s.Addr)
		return out
	}
	out.Host, out.Port, out.Resolvers = s.Host, int(s.Addr.Port()), s.Resolvers
	return out
}
