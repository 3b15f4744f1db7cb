package config

import (
	"slices"
	"strconv"
	"strings"
)

// log reads `log global`, `log <target> …` and `no log` into list. proxy says that `global` may be
// inherited.
func (s *statement) log(list *[]LogTarget, proxy bool) {
	if s.off || s.reset {
		*list = nil
		return
	}
	target := s.text(0)
	if proxy && target == "global" {
		if s.atMost(1) {
			*list = append(*list, LogTarget{Pos: s.at(-1), Inherit: true})
		}
		return
	}
	l := LogTarget{Pos: s.at(-1), Address: target}
	if target == "" || len(s.args) < 2 {
		expected := "<address> and <facility>"
		if proxy {
			expected += " or 'global'"
		}
		s.errorf(-1, "'log' expects %s as arguments", expected)
		return
	}
	if !s.expandAddress(0) {
		return
	}
	target = s.text(0)
	l.Address = target
	if i := strings.IndexByte(target, '@'); i >= 0 && target[:i] != "fd" && target[:i] != "udp" && target[:i] != "ipv4" && target[:i] != "ipv6" && target[:i] != "unix" && target[:i] != "ring" {
		s.unsupported(0, "log target '"+target[:i+1]+"'")
		return
	}
	if err := checkLogHost(target); err != nil {
		s.errorf(0, "'log' : %s", err)
		return
	}
	if i, ok := s.logOptions(&l); ok {
		s.logLevels(&l, i)
		if ring, ok := strings.CutPrefix(target, "ring@"); ok {
			s.p.ringUses = append(s.p.ringUses, nameUse{at: s.at(0), name: ring})
		}
		*list = append(*list, l)
	}
}

// checkLogHost refuses a target whose host cannot be a name, such as a variable that is not between quotes.
func checkLogHost(target string) error {
	family, host, ok := strings.Cut(target, "@")
	if !ok {
		host = target
	} else if family == "fd" || family == "unix" || family == "ring" {
		return nil
	}
	if strings.HasPrefix(host, "/") || strings.HasPrefix(host, "[") || strings.Count(host, ":") > 1 { // a path, IPv6
		return nil
	}
	host, _, _ = strings.Cut(host, ":")
	return checkHostName(host)
}

// logOptions reads what may stand between the target and the facility, and gives the index behind it.
func (s *statement) logOptions(l *LogTarget) (int, bool) {
	i := 1
	for ; i < len(s.args); i += 2 {
		switch s.args[i].text {
		case "len":
			n, err := strconv.Atoi(s.text(i + 1))
			if err != nil || n < 80 || n > 65535 {
				s.errorf(i, "'len' of 'log' expects a length between 80 and 65535, not '%s'", s.text(i+1))
				return 0, false
			}
			l.Length = n
		case "format":
			valid := logFormats()
			if !slices.Contains(valid, s.text(i+1)) {
				s.errorf(i, "unknown log format '%s'%s", s.text(i+1), didYouMean(s.text(i+1), valid))
				return 0, false
			}
			l.Format = s.text(i + 1)
		case "sample":
			sample, err := parseSample(s.text(i + 1))
			if err != nil {
				s.errorf(i+1, "'sample' of 'log' : %s", err)
				return 0, false
			}
			l.Sample = sample
		case "profile":
			s.unsupported(i, "'"+s.args[i].text+"' of 'log'")
			return 0, false
		default:
			return i, true
		}
	}
	s.errorf(-1, "'log' expects a facility behind its target")
	return 0, false
}

func (s *statement) logLevels(l *LogTarget, i int) {
	facilities := strings.Fields("kern user mail daemon auth syslog lpr news uucp cron auth2 ftp ntp audit alert cron2 local0 local1 local2 local3 local4 local5 local6 local7")
	levels := strings.Fields("emerg alert crit err warning notice info debug")
	into := []*string{&l.Facility, &l.Level, &l.MinLevel}
	for n, field := range into {
		got, valid, what := s.text(i+n), levels, "level"
		if n == 0 {
			valid, what = facilities, "facility"
		}
		if i+n >= len(s.args) {
			return
		}
		if !slices.Contains(valid, got) {
			s.errorf(i+n, "unknown log %s '%s'%s", what, got, didYouMean(got, valid))
			return
		}
		*field = got
	}
	s.atMost(i + len(into))
}
