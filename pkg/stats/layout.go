package stats

import (
	"fmt"
	"strings"
	"time"

	"waggle/pkg/pool"
)

// group is a group of columns of the page's tables, in HAProxy's order and words.
type group struct {
	Title   string
	Columns []shown
}

// shown is a column of the page.
type shown struct {
	Title string
	Hint  string // what the abbreviation means
	Class string
	// Statistic names the column of the table of statistics that is shown, and Form says how.
	Statistic string
	Form      form
	// Alarm is a class for values above zero.
	Alarm string
	// Tip adds what is told on hovering.
	Tip func(*Row) string
	// Spark draws the recent past.
	Spark func(*Row) string
	// Cell, for columns that show several statistics at once, takes the place of Statistic.
	Cell func(*Row) cell
}

type form uint8

const (
	asNumber form = iota
	asBytes
	asAge
)

// cell is one cell of the page.
type cell struct {
	Text, Small, Class, Tip string
	Spark                   string // points of a line
}

// groups declares the page's table: which statistics, in which groups, under which titles.
func groups() []group {
	return []group{
		{"Queue", []shown{
			{Title: "Cur", Statistic: "qcur", Alarm: "warn"}, {Title: "Max", Statistic: "qmax"}, {Title: "Limit", Statistic: "qlimit"},
		}},
		{"Session rate", []shown{
			{Title: "Cur", Class: "cur", Statistic: "rate", Tip: rateTip, Spark: rateSpark}, {Title: "Max", Statistic: "rate_max"}, {Title: "Limit", Statistic: "rate_lim"},
		}},
		{"Sessions", []shown{
			{Title: "Cur", Class: "cur", Statistic: "scur", Tip: pathTip, Spark: sessionSpark}, {Title: "Max", Statistic: "smax"}, {Title: "Limit", Class: "num", Statistic: "slim"},
			{Title: "Total", Class: "wide", Statistic: "stot", Tip: sessionTip},
			{Title: "LbTot", Class: "wide", Hint: "times that balancing chose it", Statistic: "lbtot"},
			{Title: "Last", Class: "age", Hint: "time since the last session", Statistic: "lastsess", Form: asAge},
		}},
		{"Bytes", []shown{
			{Title: "In", Class: "bytes", Statistic: "bin", Form: asBytes}, {Title: "Out", Class: "bytes", Statistic: "bout", Form: asBytes},
		}},
		{"Denied", []shown{
			{Title: "Req", Hint: "requests", Statistic: "dreq", Alarm: "warn"}, {Title: "Resp", Hint: "responses", Statistic: "dresp", Alarm: "warn"},
		}},
		{"Errors", []shown{
			{Title: "Req", Hint: "requests", Statistic: "ereq", Alarm: "bad"},
			{Title: "Conn", Hint: "connections to servers", Statistic: "econ", Alarm: "bad"},
			{Title: "Resp", Hint: "responses", Statistic: "eresp", Alarm: "bad", Tip: abortTip},
		}},
		{"Warnings", []shown{
			{Title: "Retr", Hint: "retries", Statistic: "wretr", Alarm: "warn"},
			{Title: "Redis", Hint: "redispatches", Statistic: "wredis", Alarm: "warn"},
		}},
		{"Server", []shown{
			{Title: "Status", Class: "status", Cell: statusCell},
			{Title: "LastChk", Hint: "last check", Class: "chk", Cell: checkCell},
			{Title: "Wght", Hint: "weight", Statistic: "weight"},
			{Title: "Act", Hint: "active servers", Statistic: "act"},
			{Title: "Bck", Hint: "backup servers", Statistic: "bck"},
			{Title: "Chk", Hint: "checks that failed", Statistic: "chkfail"},
			{Title: "Dwn", Hint: "times it went down", Statistic: "chkdown"},
			{Title: "Dwntme", Class: "age", Hint: "time down in all", Statistic: "downtime", Form: asAge},
			{Title: "Thrtle", Hint: "slow start, percent of the weight", Statistic: "throttle"},
		}},
		{"Where", []shown{
			{Title: "Path", Hint: "who carries its connections", Class: "path", Cell: pathCell},
			{Title: "Address", Hint: "and for how long it has had it", Class: "addr", Cell: addressCell},
		}},
	}
}

// render makes the cell of one row.
func (s *shown) render(c *Column, r *Row) cell {
	if s.Cell != nil {
		out := s.Cell(r)
		out.Class = strings.TrimSpace(s.Class + " " + out.Class)
		return out
	}
	v := c.Cell(r)
	out := cell{Class: s.Class}
	if s.Tip != nil && !v.Empty() {
		out.Tip = s.Tip(r)
	}
	if s.Spark != nil {
		out.Spark = s.Spark(r)
	}
	n := v.Int()
	switch {
	case v.Empty(), s.Form == asAge && n < 0:
		return cell{Class: s.Class}
	case s.Form == asBytes:
		out.Text = bytesText(n)
		if n >= 1024 {
			out.Tip = grouped(n) + " bytes"
		}
	case s.Form == asAge:
		out.Text = agoText(time.Duration(n) * time.Second)
	default:
		out.Text = grouped(n)
	}
	switch {
	case n == 0:
		out.Class += " zero"
	case s.Alarm != "":
		out.Class += " " + s.Alarm
	}
	out.Class = strings.TrimSpace(out.Class)
	return out
}

func statusCell(r *Row) cell {
	out := cell{Text: status(r).String(), Class: "badge"}
	switch r.Scope {
	case Frontends:
		out.Text = r.Frontend.Status().String()
		return out
	case Listeners:
		return out
	}
	out.Small = agoText(r.Now.Sub(r.changed()))
	out.Tip = "for " + out.Small
	if r.Scope == Servers && r.View.Leaving {
		out.Text += ", leaving"
		out.Tip += "; its address is gone from DNS, it is held as a last resort"
	}
	return out
}

func checkCell(r *Row) cell {
	if r.Scope != Servers || !r.checking() {
		return cell{}
	}
	st, chk := r.checkStatus(), &r.View.Check
	out := cell{Text: st.String(), Tip: st.Description()}
	if st >= pool.CheckL7OK && chk.Code != 0 {
		out.Text += fmt.Sprintf("/%d", chk.Code)
	}
	if st >= pool.CheckChecked {
		out.Small = fmt.Sprintf("in %dms", chk.Duration.Milliseconds())
	}
	if chk.Info != "" {
		out.Tip += ": " + chk.Info
	}
	return out
}

func pathCell(r *Row) cell {
	if r.Scope != Frontends {
		return cell{}
	}
	p := r.Frontend.Path()
	out := cell{Text: "userspace", Class: "userspace", Tip: p.Reason}
	if p.Kernel {
		out.Text, out.Class = "kernel", "kernel"
	}
	return out
}

func addressCell(r *Row) cell {
	switch {
	case !r.Legends:
		return cell{}
	case r.Scope == Frontends && r.Proxy.Config != nil:
		return cell{Text: bindText(r.Proxy.Config.Binds)}
	case r.Scope == Listeners:
		return cell{Text: r.Address()}
	case r.Scope != Servers:
		return cell{}
	case r.Address() == "":
		return cell{Text: "none", Class: "none", Tip: r.View.FQDN}
	}
	out := cell{Text: r.Address(), Tip: r.View.FQDN}
	if r.View.FQDN != "" {
		out.Small = agoText(r.Now.Sub(r.View.AddrSince))
	}
	return out
}
