package check

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"waggle/pkg/pool"
)

// runAgent asks a server's agent once and reports what it said, unless ctx ended.
func (s Spec) runAgent(ctx context.Context, dial Dial, server netip.AddrPort) {
	start := time.Now()
	r := s.ask(ctx, dial, s.agentTarget(server), start)
	if ctx.Err() != nil {
		return
	}
	r.Result.Duration = time.Since(start)
	s.Server.ReportAgent(r)
}

func (s Spec) agentInter() time.Duration { return orDefault(s.Agent.Inter, s.inter()) }

// agentTarget is where the agent is, given the server's address.
func (s Spec) agentTarget(server netip.AddrPort) netip.AddrPort {
	addr, port := server.Addr(), uint16(s.Agent.Port)
	set := s.Server.View().AgentTarget
	switch {
	case set.Addr.IsValid():
		addr = set.Addr
	case s.Agent.Addr.IsValid():
		addr = s.Agent.Addr
	}
	if set.Port != 0 {
		port = set.Port
	}
	return netip.AddrPortFrom(addr, port)
}

func (s Spec) agentSend() string {
	if set := s.Server.View().AgentTarget.Send; set != nil {
		return *set
	}
	return s.Agent.Send
}

// silent is a report in which nothing was said.
func silent(r pool.CheckResult) pool.AgentReport {
	return pool.AgentReport{Result: r, Percent: -1, MaxConn: -1}
}

// ask gets a line from an agent. That one does not answer says nothing about the server (HAProxy, section 5.2,
// agent-check).
func (s Spec) ask(ctx context.Context, dial Dial, target netip.AddrPort, start time.Time) pool.AgentReport {
	connecting, cancel := context.WithDeadline(ctx, start.Add(s.agentInter()))
	conn, err := dial(connecting, target)
	cancel()
	if err != nil {
		return silent(connectFailure(err))
	}
	defer reset(conn)
	conn.SetDeadline(start.Add(s.agentInter()))
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	acknowledge(conn)
	if text := s.agentSend(); text != "" {
		if _, err := io.WriteString(conn, text); err != nil {
			return silent(broken(err, pool.CheckL7Tout))
		}
	}
	buf, n := make([]byte, maxAgentLine), 0
	for n < len(buf) {
		got, err := conn.Read(buf[n:])
		n += got
		if end := bytes.IndexAny(buf[:n], "\r\n"); end >= 0 {
			return understand(string(buf[:end]))
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			return silent(pool.CheckResult{Status: pool.CheckL7Tout, Info: "Ignoring incomplete line from agent"})
		case n == 0 && !isTimeout(err):
			return silent(pool.CheckResult{Status: pool.CheckL4Con, Info: info(err)})
		default:
			return silent(broken(err, pool.CheckL7Tout))
		}
	}
	return silent(pool.CheckResult{Status: pool.CheckL7Tout, Info: "Ignoring incomplete line from agent"})
}

// maxAgentLine bounds what an agent may say, in bytes.
const maxAgentLine = 4096

// understand takes an agent's line apart: words between blanks and commas, and behind one that begins with # the reason
// for its word of up or down. Words are compared without case.
func understand(line string) pool.AgentReport {
	r := silent(pool.CheckResult{Status: pool.CheckChecked})
	said, reason, wrong, warned := "", "", "", ""
	if i := strings.IndexByte(line, '#'); i >= 0 && (i == 0 || separates(rune(line[i-1]))) {
		line, reason = line[:i], strings.TrimLeft(line[i+1:], " \t")
	}
	for _, w := range strings.FieldsFunc(line, separates) {
		percent, isPercent := strings.CutSuffix(w, "%")
		limit, isLimit := strings.CutPrefix(strings.ToLower(w), "maxconn:")
		switch {
		case isPercent && number(percent):
			n, err := strconv.Atoi(percent)
			if err != nil {
				n = 100 * pool.MaxWeight // more digits than a number has
			}
			r.Percent = n
		case isLimit:
			if n, err := strconv.ParseUint(limit, 10, 31); err == nil {
				r.MaxConn = int(n)
			} else {
				warned = "maxconn string empty or preceded by garbage"
			}
		case !order(&r, w, &said) && wrong == "":
			wrong = w
		}
	}
	switch {
	case said != "":
		r.Result.Info = "via agent : " + printable(said)
		if reason != "" {
			r.Result.Info += " (" + reason + ")"
		}
	case wrong != "":
		r.Result.Info = "agent reports an error : " + wrong
	case warned != "":
		r.Result.Info = "agent warns : " + warned
	}
	r.Result.Info = printable(r.Result.Info)
	return r
}

// order acts on one word, and says whether there is such a one.
func order(r *pool.AgentReport, word string, said *string) bool {
	switch strings.ToLower(word) {
	case "ready":
		r.Order = pool.AgentReady
	case "drain":
		r.Order = pool.AgentDrain
	case "maint":
		r.Order = pool.AgentMaint
	case "up":
		r.Result.Status, *said = pool.CheckL7OK, word
	case "down", "stopped", "fail":
		r.Result.Status, *said = pool.CheckL7Sts, word
	default:
		return false
	}
	return true
}

func separates(r rune) bool { return r == ' ' || r == '\t' || r == ',' }

func number(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
