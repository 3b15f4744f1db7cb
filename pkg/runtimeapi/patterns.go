package runtimeapi

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"waggle/pkg/sample"
)

// patternCommands look at maps and ACLs and change them, until the next reload. HAProxy asks no level for any of them; here what
// changes something takes an operator, which a socket is that says nothing else.
func patternCommands() []command {
	var all []command
	for _, k := range []patternKind{{"acl", "ACL"}, {"map", "map"}} {
		pair, value, payload := "<pattern>", "", ""
		if k.maps() {
			pair, value, payload = "<key> <value>", " and values", "; or lines of both behind <<"
		}
		all = append(all,
			command{[]string{"show", k.word}, User, "show " + k.word + " [[@<ver>] <" + k.word + ">]", "list them, or what is in one", k.show},
			command{[]string{"get", k.word}, User, "get " + k.word + " <" + k.word + "> <value>", "the patterns" + value + " that match a value", k.get},
			command{[]string{"add", k.word}, Operator, "add " + k.word + " [@<ver>] <" + k.word + "> " + pair, "add an entry" + payload, k.add},
			command{[]string{"del", k.word}, Operator, "del " + k.word + " <" + k.word + "> <key>|#<ref>", "delete the entries of a key, or one", k.del},
			command{[]string{"clear", k.word}, Operator, "clear " + k.word + " [@<ver>] <" + k.word + ">", "delete all entries", k.clear},
			command{[]string{"prepare", k.word}, Operator, "prepare " + k.word + " <" + k.word + ">", "begin a new version, which 'add' fills", k.prepare},
			command{[]string{"commit", k.word}, Operator, "commit " + k.word + " @<ver> <" + k.word + ">", "put a version in the place of the one in use", k.commit},
		)
	}
	maps := patternKind{"map", "map"}
	return append(all, command{[]string{"set", "map"}, Operator, "set map <map> <key>|#<ref> <value>", "change the value of a key, or of one entry", maps.set})
}

// patternKind is whether a command is about maps or ACLs.
type patternKind struct{ word, name string }

func (k patternKind) maps() bool { return k.word == "map" }

func (k patternKind) unknown() string {
	return "Unknown " + k.name + " identifier. Please use #<id> or <file>.\n"
}

func (k patternKind) missing() string { return "Missing " + k.name + " identifier.\n" }

func (c *session) patterns() *sample.References {
	if c.server.opts.Patterns == nil {
		return nil
	}
	return c.server.opts.Patterns()
}

// version takes `@<ver>` off the words.
func version(args []string) (*uint32, []string) {
	number, ok := strings.CutPrefix(word(args, 0), "@")
	if !ok {
		return nil, args
	}
	n, _ := strconv.ParseUint(number, 10, 32) // HAProxy takes what is no number for 0
	v := uint32(n)
	return &v, args[1:]
}

func (k patternKind) show(c *session, args []string) string {
	at, args := version(args)
	if len(args) == 0 && at == nil {
		var out strings.Builder
		out.WriteString("# id (file) description\n")
		for _, r := range c.patterns().List(k.maps()) {
			out.WriteString(printable(r.Describe()) + "\n")
		}
		return out.String()
	}
	r := c.patterns().Find(word(args, 0), k.maps())
	if r == nil {
		return k.unknown()
	}
	var out strings.Builder
	for _, l := range r.Lines(at) {
		fmt.Fprintf(&out, "%#x %s", l.ID, printable(l.Key))
		if r.Pairs() {
			out.WriteString(" " + printable(l.Value))
		}
		out.WriteString("\n")
	}
	return out.String()
}

func (k patternKind) get(c *session, args []string) string {
	if len(args) < 2 {
		return "Missing " + k.name + " identifier and/or key.\n"
	}
	r := c.patterns().Find(args[0], k.maps())
	if r == nil {
		return k.unknown()
	}
	var out strings.Builder
	for _, f := range r.Look(args[1]) {
		out.WriteString(k.finding(f))
	}
	return out.String()
}

// finding is a line about one way of comparing.
func (k patternKind) finding(f sample.Finding) string {
	fold, tree, found, key := "sensitive", "list", "match", "pattern"
	if f.Fold {
		fold = "insensitive"
	}
	if f.Tree {
		tree = "tree"
	}
	if k.maps() {
		found, key = "found", "key"
	}
	line := fmt.Sprintf("type=%s, case=%s, %s=", f.Method, fold, found)
	if !f.Found {
		return line + "no\n"
	}
	line += fmt.Sprintf("yes, idx=%s, %s=\"%s\"", tree, key, printable(f.Key))
	if k.maps() {
		if f.ValueType == "" {
			line += ", value=none"
		} else {
			line += fmt.Sprintf(", value=\"%s\", type=\"%s\"", printable(f.Value), f.ValueType)
		}
	}
	return line + "\n"
}

func (k patternKind) add(c *session, args []string) string {
	at, args := version(args)
	payload := c.payload
	switch {
	case k.maps() && (payload == nil && len(args) < 3 || payload != nil && len(args) != 1):
		return "'add map' expects three parameters (map identifier, key and value) or one parameter (map identifier) and a payload\n"
	case !k.maps() && len(args) < 2:
		return "'add acl' expects two parameters: ACL identifier and pattern.\n"
	}
	r := c.patterns().Find(args[0], k.maps())
	switch {
	case r == nil:
		return k.unknown()
	case !k.maps() && r.Pairs():
		return "This ACL is shared with a map containing samples. You must use the command 'add map' to add values.\n"
	case payload != nil:
		return k.addLines(r, at, payload)
	}
	return k.answer(r.Add(at, args[1], word(args, 2)))
}

// addLines adds the keys and values of a payload, up to the first that does not fit.
func (k patternKind) addLines(r *sample.Reference, at *uint32, lines []string) string {
	for _, line := range lines {
		key, value := strings.Trim(line, " \t"), ""
		if i := strings.IndexAny(key, " \t"); i >= 0 {
			key, value = key[:i], strings.TrimLeft(key[i:], " \t")
		}
		if key == "" {
			continue
		}
		if err := r.Add(at, key, value); err != nil {
			return k.answer(err)
		}
	}
	return ""
}

func (k patternKind) answer(err error) string {
	var bad *sample.Error
	switch {
	case err == nil:
		return ""
	case errors.Is(err, sample.ErrFuture):
		return "Version number in the future, please use 'prepare " + k.word + "' before.\n"
	case errors.As(err, &bad):
		return printable(strings.TrimSuffix(bad.Text, " or network")) + ".\n" // in HAProxy's words
	}
	return err.Error() + "\n"
}

func (k patternKind) set(c *session, args []string) string {
	if len(args) < 3 {
		return "'set map' expects three parameters: map identifier, key and value.\n"
	}
	r := c.patterns().Find(args[0], true)
	if r == nil {
		return k.unknown()
	}
	return k.answer(r.Set(args[1], args[2]))
}

func (k patternKind) del(c *session, args []string) string {
	if len(args) < 2 {
		return "This command expects two parameters: " + k.name + " identifier and key.\n"
	}
	r := c.patterns().Find(args[0], k.maps())
	if r == nil {
		return k.unknown()
	}
	return k.answer(r.Delete(args[1]))
}

func (k patternKind) clear(c *session, args []string) string {
	at, args := version(args)
	if len(args) == 0 {
		return k.missing()
	}
	r := c.patterns().Find(args[0], k.maps())
	if r == nil {
		return k.unknown()
	}
	r.Clear(at)
	return ""
}

func (k patternKind) prepare(c *session, args []string) string {
	r := c.patterns().Find(word(args, 0), k.maps())
	if r == nil {
		return k.unknown()
	}
	return fmt.Sprintf("New version created: %d\n", r.Prepare())
}

func (k patternKind) commit(c *session, args []string) string {
	at, args := version(args)
	if at == nil {
		return "Missing version number.\n"
	}
	if len(args) == 0 {
		return k.missing()
	}
	r := c.patterns().Find(args[0], k.maps())
	if r == nil {
		return k.unknown()
	}
	return k.answer(r.Commit(*at))
}
