package stats

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"waggle/pkg/config"
	"waggle/pkg/pool"
)

// action is one thing that the page's form can do to servers.
type action struct {
	Name, Text string
	do         func(p *Page, s *pool.Server) bool // false: it does not apply to the server
}

// actions are HAProxy's, in the order of its page.
func actions() []action {
	always := func(do func(*pool.Server)) func(*Page, *pool.Server) bool {
		return func(_ *Page, s *pool.Server) bool { do(s); return true }
	}
	health := func(op pool.OpState) func(*Page, *pool.Server) bool {
		return always(func(s *pool.Server) { s.SetHealth(op, pool.CauseStatsPage) })
	}
	checks := func(on bool) func(*Page, *pool.Server) bool {
		return func(_ *Page, s *pool.Server) bool { return s.SetChecking(on) }
	}
	agent := func(on bool) func(*Page, *pool.Server) bool {
		return func(_ *Page, s *pool.Server) bool { return s.SetAgentChecking(on) }
	}
	agentSays := func(up bool) func(*Page, *pool.Server) bool {
		return func(_ *Page, s *pool.Server) bool { return s.SetAgentHealth(up, pool.CauseStatsPage) }
	}
	return []action{
		{"ready", "Set state to READY", always(func(s *pool.Server) { s.Ready(pool.CauseStatsPage) })},
		{"drain", "Set state to DRAIN", always(func(s *pool.Server) { s.Drain(pool.CauseStatsPage) })},
		{"maint", "Set state to MAINT", always(func(s *pool.Server) { s.Maintain(pool.CauseStatsPage) })},
		{"dhlth", "Health: disable checks", checks(false)},
		{"ehlth", "Health: enable checks", checks(true)},
		{"hrunn", "Health: force UP", health(pool.Running)},
		{"hnolb", "Health: force NOLB", health(pool.Stopping)},
		{"hdown", "Health: force DOWN", health(pool.Stopped)},
		{"dagent", "Agent: disable checks", agent(false)},
		{"eagent", "Agent: enable checks", agent(true)},
		{"arunn", "Agent: force UP", agentSays(true)},
		{"adown", "Agent: force DOWN", agentSays(false)},
		{"shutdown", "Kill sessions", func(p *Page, s *pool.Server) bool {
			return p.Shutdown != nil && p.Shutdown(s) == nil
		}},
	}
}

// outcome is what became of a form, as the token `st` of the page's address tells it.
type outcome string

// The outcomes.
const (
	outcomeDone    outcome = "DONE"
	outcomeNone    outcome = "NONE"
	outcomePart    outcome = "PART"
	outcomeErrP    outcome = "ERRP"
	outcomeTooLong outcome = "EXCD"
	outcomeDenied  outcome = "DENY"
)

// outcomeTexts are what the page says of an outcome, and whether that is good.
func (o outcome) text() (text string, good bool) {
	switch o {
	case outcomeDone:
		return "Done.", true
	case outcomeNone:
		return "Nothing was changed: no server was chosen, or the action does not apply.", false
	case outcomePart:
		return "Done in part: some of the servers are not there any more.", false
	case outcomeErrP:
		return "Nothing was changed: the action, the backend or the servers are not known.", false
	case outcomeTooLong:
		return "Nothing was changed: the form was too long. Choose fewer servers at once.", false
	case outcomeDenied:
		return "Nothing was changed: it was refused. Either the configuration allows no changes here (stats admin), or the form came from another site.", false
	case "":
		return "", true
	default:
		return "What became of the form is not known.", false
	}
}

// post answers a form: it acts, and sends the browser back to the page, which tells the outcome.
func (p *Page) post(proxy *config.Proxy, req *Request) Response {
	o := parseOptions(req.URI, proxy.Stats)
	o.format, o.outcome = "", p.form(proxy, req)
	r := reply(303, plainText, nil)
	r.set("location", o.link(proxy.Stats))
	return r
}

func (p *Page) form(proxy *config.Proxy, req *Request) outcome {
	switch n, err := strconv.Atoi(req.header("content-length")); {
	case !req.Admin || !sameOrigin(req):
		return outcomeDenied
	case err == nil && n > len(req.Body):
		return outcomeTooLong
	}
	fields, err := url.ParseQuery(string(req.Body))
	if err != nil {
		return outcomeErrP
	}
	names, backend := fields["s"], fields.Get("b")
	if len(names) == 0 || backend == "" || !fields.Has("action") {
		return outcomeNone
	}
	all := actions()
	i := slices.IndexFunc(all, func(a action) bool { return a.Name == fields.Get("action") })
	be := findBackend(p.src.Snapshot(), proxy, backend)
	if i < 0 || be == nil {
		return outcomeErrP
	}
	return p.apply(all[i], be, names)
}

// apply does one thing to servers of a backend.
func (p *Page) apply(a action, be *pool.Backend, names []string) outcome {
	known, changed := 0, 0
	for _, s := range be.Servers() {
		if !slices.Contains(names, s.Name) {
			continue
		}
		known++
		if a.do(p, s) {
			changed++
		}
	}
	switch {
	case known == 0:
		return outcomeErrP
	case known < len(names):
		return outcomePart
	case changed == 0:
		return outcomeNone
	}
	return outcomeDone
}

// findBackend finds a backend that the page shows, by "#<id>" or by name.
func findBackend(s *Snapshot, proxy *config.Proxy, name string) *pool.Backend {
	f := options{}.filter(proxy)
	for i := range s.Proxies {
		p := &s.Proxies[i]
		if p.Backend != nil && f.proxy(p) && (name == "#"+strconv.Itoa(p.Backend.ID) || name == p.Backend.Name) {
			return p.Backend
		}
	}
	return nil
}

// sameOrigin says whether a form was sent by our own page, or by no page at all. Browsers tell by
// Sec-Fetch-Site (Fetch Metadata) or, where that is kept for secure contexts, by Origin (RFC 6454), and in
// any case by one of them with a POST. A program that sends neither has no one's credentials to abuse.
func sameOrigin(req *Request) bool {
	if site := req.header("sec-fetch-site"); site != "" && site != "same-origin" && site != "none" {
		return false
	}
	from := req.header("origin")
	if from == "" {
		if from = req.header("referer"); from == "" {
			return true
		}
	}
	u, err := url.Parse(from)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, req.header("host"))
}
