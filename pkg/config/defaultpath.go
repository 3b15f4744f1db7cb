package config

import "path/filepath"

// DefaultPath says where relative names of files begin that a configuration names (HAProxy's manual, default-path).
type DefaultPath struct {
	Mode string // current (also ""), config, parent, origin
	Path string // of origin
}

func defaultPathDirectives() []directive {
	return []directive{{name: "default-path", in: inGlobal, args: "current|config|parent|origin <path>",
		doc:   "where relative names of files begin: at the working directory, at the configuration file's, at its parent, or at a path",
		parse: (*statement).defaultPathLine}}
}

func (s *statement) defaultPathLine() {
	d := DefaultPath{Mode: s.text(0)}
	if !s.oneOf(0, "mode", "current", "config", "parent", "origin") {
		return
	}
	words := 1
	if d.Mode == "origin" {
		words = 2
		if d.Path = s.text(1); d.Path == "" {
			s.errorf(0, "'default-path' : 'origin' expects a path")
			return
		}
	}
	if s.atMost(words) {
		s.p.defaultPath = d
	}
}

// under gives the name of a file that is relative to a base of certificates, such as crt-base.
func (p *parser) under(base, name string) string { return under(p.base(base), name) }

// base is where relative names of certificates begin; "" is the working directory.
func (p *parser) base(base string) string {
	if base == "" && p.defaultPath.Mode != "" && p.defaultPath.Mode != "current" {
		base = "."
	}
	return p.path(base)
}

// path gives the name of a file as it is found from the working directory. Names in a file that is included are the
// configuration file's that is read.
func (p *parser) path(name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	dir := filepath.Dir(p.pos.File)
	switch p.defaultPath.Mode {
	case "config":
		return filepath.Join(dir, name)
	case "parent":
		return filepath.Join(dir, "..", name)
	case "origin":
		return filepath.Join(p.defaultPath.Path, name)
	default:
		return name
	}
}
