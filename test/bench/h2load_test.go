package main

import (
	"strings"
	"testing"
)

const h2loadOutput = `starting benchmark...
Warm-up started for thread #0.
TLS Protocol: TLSv1.3
Cipher: TLS_AES_128_GCM_SHA256
Application protocol: h2
Warm-up phase is over for thread #0.

finished in 1.00s, 12345.00 req/s, 1.20MB/s
requests: 12345 total, 12465 started, 12345 done, 12340 succeeded, 3 failed, 2 errored, 1 timeout
status codes: 12340 2xx, 0 3xx, 3 4xx, 0 5xx
traffic: 1.20MB (1258291) total, 300.00KB (307200) headers (space savings 75.00%), 200.00KB (204800) data
`

func TestParseH2load(t *testing.T) {
	s, err := parseH2load(h2loadOutput, true)
	if err != nil || s.Requests != 12340 || s.Bytes != 1258291 || s.Errors != 6 {
		t.Errorf("got %+v, %v", s, err)
	}
	for name, output := range map[string]string{
		"another protocol": strings.Replace(h2loadOutput, "protocol: h2", "protocol: http/1.1", 1),
		"no response":      strings.Replace(h2loadOutput, "12340 succeeded", "0 succeeded", 1),
		"nothing":          "",
	} {
		if s, err := parseH2load(output, true); err == nil {
			t.Errorf("%s: got %+v", name, s)
		}
	}
	clear := strings.Replace(h2loadOutput, "protocol: h2", "protocol: h2c", 1)
	if s, err := parseH2load(clear, false); err != nil || s.Requests != 12340 {
		t.Errorf("in clear text: got %+v, %v", s, err)
	}
	if s, err := parseH2load(clear, true); err == nil {
		t.Errorf("TLS was asked for: got %+v", s)
	}
}
