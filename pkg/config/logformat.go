package config

import "waggle/pkg/sample"

// pendingFormat is a format whose meaning depends on the proxy's mode, which may be said behind it.
type pendingFormat struct {
	source string
	at     Pos
	env    sample.Env
	option bool // of an option for HTTP: in mode tcp the lines are those of tcplog
}

// keepFormat keeps the only argument as a format to be compiled at the end.
func (s *statement) keepFormat(into **pendingFormat) {
	if s.text(0) == "" {
		s.errorf(-1, "'%s' expects a format", s.name())
		return
	}
	if len(s.args) > 1 {
		s.errorf(1, "'%s' expects only one argument: blanks in it need quotes or backslashes", s.name())
		return
	}
	env := s.exprEnv(0)
	env.Where, env.Warn = sample.AtLog, nil
	*into = &pendingFormat{source: s.text(0), at: s.at(0), env: env}
}

// compileFormats makes the formats of a proxy's frontend side.
func (p *parser) compileFormats(s *proxyState) {
	if !s.Kind.HasFrontend() {
		s.RequestCaptures, s.ResponseCaptures, s.CookieCapture = nil, nil, CookieCapture{}
		return
	}
	if s.logFormat != nil && s.logFormat.option && !s.HTTP {
		s.logFormat = nil
	}
	s.LogFormat = p.compileFormat(s, s.logFormat, "log-format", sample.LogFormat)
	s.ErrorLogFormat = p.compileFormat(s, s.errorFormat, "error-log-format", sample.LogFormat)
	s.LogFormatSD = p.compileFormat(s, s.dataFormat, "log-format-sd", sample.LogFormat)
	s.UniqueID = p.compileFormat(s, s.uniqueID, "unique-id-format", sample.IDFormat)
	if s.uniqueID != nil && !s.HTTP {
		p.alert(s.uniqueID.at, "'unique-id-format' of a tcp frontend is valid HAProxy but not supported by waggle yet")
	}
}

func (p *parser) compileFormat(s *proxyState, f *pendingFormat, name string, style sample.FormatStyle) *sample.Format {
	if f == nil {
		return nil
	}
	env := f.env
	s.noteUses(&env, f.at) // the line may be one of the defaults section
	if style == sample.IDFormat {
		env.Where = sample.AtRequest
	}
	out, err := sample.ParseFormat(f.source, style, s.HTTP, env)
	if err != nil {
		p.alert(f.at, "'%s' : %s", name, err)
		return nil
	}
	return out
}
