package runtimeapi

import (
	"strings"
	"testing"

	"waggle/pkg/lab/message"
	"waggle/pkg/sample"
)

// TestAnswersAboutPatterns has each answer that is no listing; testdata/patterns.golden of pkg/agent has them beside HAProxy.
func TestAnswersAboutPatterns(t *testing.T) {
	refs := &sample.References{}
	env := sample.Env{References: refs, File: "h.cfg", Line: 7, ReadFile: func(string) ([]byte, error) { return []byte("a 1\n"), nil }}
	if _, err := sample.ParseExpr("path,map_str_int(m.map)", env); err != nil {
		t.Fatal(err)
	}
	if _, err := sample.ParseCond(strings.Fields("if { src 10.0.0.0/8 } or { path -M -f m.map }"), env); err != nil {
		t.Fatal(err)
	}
	s := New(fixed{balancer()}, Options{Patterns: func() *sample.References { return refs }})
	c := &session{server: s, level: Operator}
	for _, test := range []struct{ command, want string }{
		{"show map", "# id (file) description\n0 (m.map) pattern loaded from file 'm.map' used by map at file 'h.cfg' line 7, by map at file 'h.cfg' line 7. curr_ver=0 next_ver=0 entry_cnt=2\n"},
		{"show map x", "Unknown map identifier. Please use #<id> or <file>.\n"},
		{"show acl x", "Unknown ACL identifier. Please use #<id> or <file>.\n"},
		{"show map m.map", "0x1 a 1\n"},
		{"show acl #1", "0x1 10.0.0.0/8\n"},
		{"get acl", "Missing ACL identifier and/or key.\n"},
		{"get map m.map", "Missing map identifier and/or key.\n"},
		{"get map x y", "Unknown map identifier. Please use #<id> or <file>.\n"},
		{"get map m.map a", "type=str, case=sensitive, found=yes, idx=tree, key=\"a\", value=\"1\", type=\"sint\"\ntype=str, case=sensitive, found=yes, idx=tree, key=\"a\", value=none\n"},
		{"get acl #1 11.0.0.1", "type=ip, case=sensitive, match=no\n"},
		{"add map m.map a", "'add map' expects three parameters (map identifier, key and value) or one parameter (map identifier) and a payload\n"},
		{"add acl", "'add acl' expects two parameters: ACL identifier and pattern.\n"},
		{"add acl x y", "Unknown ACL identifier. Please use #<id> or <file>.\n"},
		{"add acl m.map x", "This ACL is shared with a map containing samples. You must use the command 'add map' to add values.\n"},
		{"add acl #1 bogus", "'bogus' is not a valid IPv4 or IPv6 address.\n"},
		{"add map m.map k one", "unable to parse 'one'.\n"},
		{"add map @4 m.map k 2", "Version number in the future, please use 'prepare map' before.\n"},
		{"set map m.map a", "'set map' expects three parameters: map identifier, key and value.\n"},
		{"set map x a b", "Unknown map identifier. Please use #<id> or <file>.\n"},
		{"set map m.map none 1", "entry not found.\n"},
		{"set map m.map a 2", ""},
		{"del acl", "This command expects two parameters: ACL identifier and key.\n"},
		{"del map x a", "Unknown map identifier. Please use #<id> or <file>.\n"},
		{"del map m.map none", "Key not found.\n"},
		{"clear map", "Missing map identifier.\n"},
		{"clear acl x", "Unknown ACL identifier. Please use #<id> or <file>.\n"},
		{"prepare map x", "Unknown map identifier. Please use #<id> or <file>.\n"},
		{"prepare map m.map", "New version created: 1\n"},
		{"commit map m.map", "Missing version number.\n"},
		{"commit acl @1", "Missing ACL identifier.\n"},
		{"commit map @1 x", "Unknown map identifier. Please use #<id> or <file>.\n"},
		{"commit map @2 m.map", "Version number out of range.\n"},
		{"commit map @1 m.map", ""},
		{"show map m.map", ""},
	} {
		if got := c.execute(strings.Fields(test.command)); got != test.want {
			t.Errorf("%s: %q, want %q", test.command, got, test.want)
		}
		message.Shown(t, test.want)
	}
	c.level = User
	for _, command := range []string{"add map m.map a 1", "set map m.map a 1", "del acl #1 x", "clear map m.map", "prepare acl #1", "commit acl @1 #1"} {
		if got := c.execute(strings.Fields(command)); got != "Permission denied\n" {
			t.Errorf("%s for a user: %q", command, got)
		}
	}
}

func TestLongPayload(t *testing.T) {
	l := serve(t, Options{MaxLine: 64}, socket(t))
	if got := exchange(t, l, "add map x <<\n"+strings.Repeat("x", 64)); got != "The command line is too long.\n\n" {
		t.Errorf("answer %q", got)
	}
	message.Shown(t, "The command line is too long.\n\n")
}
