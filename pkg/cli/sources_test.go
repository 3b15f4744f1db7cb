package cli

import "testing"

func TestSourceAddresses(t *testing.T) {
	for v, want := range map[string]struct {
		n   int
		all bool
		bad bool
	}{
		"10.0.0.1":             {1, false, false},
		"10.0.0.1,2001:db8::1": {2, false, false},
		"interface":            {0, true, false},
		"10.0.0.1,interface":   {bad: true},
		"":                     {bad: true},
		"0.0.0.0":              {bad: true},
		"fe80::1%eth0":         {bad: true},
		"10.0.0.1,10.0.0.2,10.0.0.3,10.0.0.4,10.0.0.5,10.0.0.6,10.0.0.7,10.0.0.8,10.0.0.9": {bad: true},
	} {
		var s settings
		err := s.setSources(v)
		if (err != nil) != want.bad {
			t.Errorf("%q: %v", v, err)
		} else if err == nil && (len(s.sources) != want.n || s.allSources != want.all) {
			t.Errorf("%q: %v, all %v", v, s.sources, s.allSources)
		}
	}
}
