package config

import (
	"cmp"
	"slices"
	"strings"
)

// Keyword describes one keyword of HAProxy 3.2 for documentation.
type Keyword struct {
	Name, Args, Doc string
	Where           string // sections, or ""
	Status          Status
	Why             string // of an ignored one: why nothing is lost; of a removed one: what took its place
}

// KeywordGroup is a family of keywords, sorted by name.
type KeywordGroup struct {
	Title    string
	Keywords []Keyword
}

// Keywords gives every keyword that the parser knows, made from the tables that it parses with.
func Keywords() []KeywordGroup {
	groups := []KeywordGroup{
		{Title: "Sections"}, {Title: "Global section"}, {Title: "Resolvers sections"}, {Title: "Proxies: defaults, frontend, listen and backend sections"},
		{Title: "Parameters of bind lines"}, {Title: "Parameters of server, server-template and default-server lines"}, {Title: "Actions of http-request"},
		{Title: "Actions of http-response"}, {Title: "Actions of http-after-response"},
	}
	docs := map[sections]string{
		inGlobal: "settings of the process", inDefaults: "what the proxies behind it begin with", inFrontend: "accepts connections",
		inListen: "a frontend and a backend in one", inBackend: "servers to choose from", inResolvers: "how names are resolved", inHTTPErrors: "error pages by a name",
		inUserlist: "users and their passwords", inRing: "log lines in memory", inPeers: "processes that share stick tables; entries are not exchanged", inMailers: "mail servers; no mail is sent",
	}
	for _, n := range sectionNames {
		groups[0].Keywords = append(groups[0].Keywords, Keyword{Name: n.name, Doc: docs[n.set]})
	}
	for _, o := range otherSections() {
		groups[0].Keywords = append(groups[0].Keywords, Keyword{Name: o.name, Doc: o.doc, Status: Unsupported})
	}
	for _, d := range directives().rows {
		k := Keyword{Name: d.name, Args: d.args, Doc: d.doc, Status: d.status, Why: d.why}
		i := 3
		switch {
		case d.in == inGlobal:
			i = 1
		case d.in == inResolvers:
			i = 2
		default:
			k.Where = d.in.String()
		}
		groups[i].Keywords = append(groups[i].Keywords, k)
	}
	for _, p := range bindParams() {
		groups[4].Keywords = append(groups[4].Keywords, Keyword{Name: p.name, Args: p.args, Doc: p.doc, Status: p.status, Why: p.why})
	}
	for _, p := range serverParams() {
		groups[5].Keywords = append(groups[5].Keywords, Keyword{Name: p.name, Args: p.args, Doc: p.doc, Status: p.status, Why: p.why})
	}
	for i, set := range []ruleSet{onRequest, onResponse, onAfterResponse} {
		groups[6+i].Keywords = actionKeywords(set)
	}
	for _, g := range groups {
		slices.SortStableFunc(g.Keywords, func(a, b Keyword) int { return cmp.Compare(a.Name, b.Name) })
	}
	return groups
}

func actionKeywords(set ruleSet) []Keyword {
	var rows []Keyword
	for _, a := range ruleActions() {
		if a.in&set != 0 {
			rows = append(rows, Keyword{Name: a.name, Args: a.args, Doc: a.doc})
		}
	}
	if set == onAfterResponse {
		return rows
	}
	for name := range strings.FieldsSeq(otherActions) {
		rows = append(rows, Keyword{Name: name, Doc: "an action of http-request or http-response", Status: Unsupported})
	}
	return rows
}
