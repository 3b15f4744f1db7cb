package config

import "testing"

func TestStatsTokens(t *testing.T) {
	for _, tt := range []struct {
		page, target string
		ok           bool
		tokens       string
	}{
		{"/my-stats", "/my-stats", true, ""},
		{"/my-stats", "/my-stats;csv", true, ";csv"},
		{"/my-stats", "/my-stats?;csv", true, "?;csv"},
		{"/my-stats", "http://h:1/my-stats;up", true, ";up"},
		{"/my-stats", "/MY-STATS", false, ""}, // HAProxy compares with case
		{"/my-stats", "/other", false, ""},
		{"/my-stats", "/?x=://h/my-stats", false, ""},
		{"/my-stats", "*", false, ""},
		{"/my-stats", "", false, ""},
		{DefaultStatsURI, "/haproxy?stats;up", true, ";up"},
		{DefaultStatsURI, "/haproxy", false, ""},
		{"/", "http://h", true, ""},
	} {
		tokens, ok := (&Stats{URI: tt.page}).Tokens([]byte(tt.target))
		if ok != tt.ok || string(tokens) != tt.tokens {
			t.Errorf("page %q, target %q: %q, %t; want %q, %t", tt.page, tt.target, tokens, ok, tt.tokens, tt.ok)
		}
	}
}
