package config

import "testing"

func TestFingerprint(t *testing.T) {
	base := map[string]string{"d/a.cfg": "one", "d/b.cfg": "two", "d/notes": "x"}
	was, err := Fingerprint([]string{"d"}, pure(base))
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		files map[string]string
		same  bool
	}{
		"the same":              {map[string]string{"d/a.cfg": "one", "d/b.cfg": "two"}, true},
		"other content":         {map[string]string{"d/a.cfg": "one", "d/b.cfg": "too"}, false},
		"content moved":         {map[string]string{"d/a.cfg": "onet", "d/b.cfg": "wo"}, false},
		"another name":          {map[string]string{"d/a.cfg": "one", "d/c.cfg": "two"}, false},
		"a file more":           {map[string]string{"d/a.cfg": "one", "d/b.cfg": "two", "d/c.cfg": ""}, false},
		"a file that is passed": {map[string]string{"d/a.cfg": "one", "d/b.cfg": "two", "d/notes": "y"}, true},
	} {
		if is, err := Fingerprint([]string{"d"}, pure(tc.files)); err != nil || (is == was) != tc.same {
			t.Errorf("%s: same %v, %v", name, is == was, err)
		}
	}
	if _, err := Fingerprint([]string{"gone.cfg"}, pure(nil)); err == nil {
		t.Error("no error for a file that is not there")
	}
}
