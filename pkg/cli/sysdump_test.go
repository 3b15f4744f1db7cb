package cli

import "testing"

func TestWithoutSecrets(t *testing.T) {
	for in, want := range map[string]string{
		"    stats auth admin:hunter2":                               "    stats auth admin:(removed)",
		"    stats auth \"admin:hunter 2\"":                          "    stats auth \"admin:(removed)",
		"  user bob insecure-password hunter2":                       "  user bob insecure-password (removed)",
		"  user bob password $6$abc groups x":                        "  user bob password (removed) groups x",
		"  http-check send hdr Authorization \"Basic aHVudGVyMg==\"": "  http-check send hdr Authorization (removed)",
		"  http-request set-header X-Api-Key hunter2":                "  http-request set-header X-Api-Key (removed)",
		"  dynamic-cookie-key hunter2":                               "  dynamic-cookie-key (removed)",
		"  log https://me:hunter2@logs.example":                      "  log https://me:(removed)@logs.example",
		"  setenv TOKEN hunter2":                                     "  setenv TOKEN (removed)",
		"  server a 10.0.0.1:80 check weight 3":                      "  server a 10.0.0.1:80 check weight 3",
		"  cookie SRV insert indirect nocache":                       "  cookie (removed)",
		"  bind *:8000":                                              "  bind *:8000",
	} {
		if got := string(withoutSecrets([]byte(in))); got != want {
			t.Errorf("%q\nbecame %q\nwant   %q", in, got, want)
		}
	}
}
