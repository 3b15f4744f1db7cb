package config

import (
	"slices"
	"strconv"
)

// redirectLine reads a `redirect` directive, whose rules run after those of http-request.
func (s *statement) redirectLine() {
	if !s.mayHaveRules() {
		return
	}
	r := &ruleParser{statement: s, set: onRequest, rule: &HTTPRule{Pos: s.at(-1), Action: ActionRedirect}, what: "'redirect'"}
	if !r.redirect() {
		return
	}
	var ok bool
	if r.rule.Cond, ok = s.condition(r.i, r.what); ok {
		s.takesTurn(turnRedirect)
		s.p.proxy.redirects = append(s.p.proxy.redirects, *r.rule)
	}
}

// redirect reads `location|prefix|scheme <to>` and options up to the condition.
func (r *ruleParser) redirect() bool {
	r.rule.Status = 302
	what, found := "'"+r.name()+"'", false
	for ; r.i < len(r.args); r.i++ {
		i, word := r.i, r.args[r.i].text
		switch word {
		case "location", "prefix", "scheme":
			if r.i++; r.text(r.i) == "" {
				r.errorf(i, "%s : missing argument for '%s'", what, word)
				return false
			}
			if r.set == onResponse && word != "location" { // the target of the request, which they keep, has gone
				r.errorf(i, "%s : a response can only be redirected by 'location'", what)
				return false
			}
			if !r.destination(word, what) {
				return false
			}
			found = true
		case "code":
			r.i++
			code, err := strconv.Atoi(r.text(r.i))
			if err != nil || !slices.Contains([]int{301, 302, 303, 307, 308}, code) {
				r.errorf(i, "%s : 'code' expects 301, 302, 303, 307 or 308, not '%s'", what, r.text(r.i))
				return false
			}
			r.rule.Status = code
		case "drop-query":
			r.rule.DropQuery = true
		case "append-slash":
			r.rule.AppendSlash = true
		case "ignore-empty":
			r.rule.IgnoreEmpty = true
		case "set-cookie", "clear-cookie":
			if r.i++; !r.redirectCookie(word, what) {
				return false
			}
		case "set-cookie-fmt", "keep-query":
			r.unsupported(i, "'"+word+"' of 'redirect'")
			return false
		case "if", "unless":
			if !found {
				r.errorf(i, "%s : expects 'location', 'prefix' or 'scheme' before the condition", what)
			}
			return found
		default:
			r.errorf(i, "%s : unknown keyword '%s'%s", what, word,
				didYouMean(word, []string{"location", "prefix", "scheme", "code", "drop-query", "append-slash", "ignore-empty", "set-cookie", "clear-cookie", "if", "unless"}))
			return false
		}
	}
	if !found {
		r.errorf(-1, "%s : expects 'location', 'prefix' or 'scheme'", what)
	}
	return found
}

func (r *ruleParser) destination(kind, what string) bool {
	f, ok := r.format(r.i, what, r.set.where())
	if !ok {
		return false
	}
	r.rule.RedirectKind = map[string]RedirectKind{"location": RedirectLocation, "prefix": RedirectPrefix, "scheme": RedirectScheme}[kind]
	r.rule.Target, r.rule.Format = "", f
	if text, fixed := f.Literal(); fixed {
		r.rule.Target, r.rule.Format = text, nil
	}
	return true
}

// redirectCookie reads `set-cookie NAME[=value]` and `clear-cookie NAME[=]`, whose headers have attributes
// as HAProxy's have.
func (r *ruleParser) redirectCookie(word, what string) bool {
	cookie := r.text(r.i)
	for _, c := range []byte(cookie) {
		if c < ' ' || c >= 0x7f {
			r.errorf(r.i, "%s : '%s' cannot be a cookie", what, cookie)
			return false
		}
	}
	if cookie == "" {
		r.errorf(r.i-1, "%s : missing argument for '%s'", what, word)
		return false
	}
	r.rule.SetCookie = cookie + "; path=/;"
	if word == "clear-cookie" {
		r.rule.SetCookie = cookie + "; path=/; Max-Age=0;"
	}
	return true
}
