package config

import (
	"crypto/tls"
	"fmt"
	"strings"
)

// cipherNames are the suites of TLS 1.2 and below that crypto/tls has, by OpenSSL's names, which configurations and
// logs use. Those that crypto/tls calls insecure (CBC with SHA-256) are offered only where a list names them; RC4 and
// 3DES never are.
var cipherNames = []struct {
	name string
	id   uint16
}{
	{"ECDHE-ECDSA-AES128-GCM-SHA256", tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
	{"ECDHE-RSA-AES128-GCM-SHA256", tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256},
	{"ECDHE-ECDSA-AES256-GCM-SHA384", tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384},
	{"ECDHE-RSA-AES256-GCM-SHA384", tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384},
	{"ECDHE-ECDSA-CHACHA20-POLY1305", tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256},
	{"ECDHE-RSA-CHACHA20-POLY1305", tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256},
	{"ECDHE-ECDSA-AES128-SHA256", tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256},
	{"ECDHE-RSA-AES128-SHA256", tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256},
	{"ECDHE-ECDSA-AES128-SHA", tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA},
	{"ECDHE-RSA-AES128-SHA", tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA},
	{"ECDHE-ECDSA-AES256-SHA", tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA},
	{"ECDHE-RSA-AES256-SHA", tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA},
	{"AES128-GCM-SHA256", tls.TLS_RSA_WITH_AES_128_GCM_SHA256},
	{"AES256-GCM-SHA384", tls.TLS_RSA_WITH_AES_256_GCM_SHA384},
	{"AES128-SHA256", tls.TLS_RSA_WITH_AES_128_CBC_SHA256},
	{"AES128-SHA", tls.TLS_RSA_WITH_AES_128_CBC_SHA},
	{"AES256-SHA", tls.TLS_RSA_WITH_AES_256_CBC_SHA},
}

// CipherName is a cipher suite as OpenSSL and HAProxy call it.
func CipherName(id uint16) string {
	for _, c := range cipherNames {
		if c.id == id {
			return c.name
		}
	}
	return tls.CipherSuiteName(id) // those of TLS 1.3 have one name everywhere
}

// parseCiphers reads a list in OpenSSL's form. What crypto/tls cannot do is told in the warning: it has its own order
// of preference, and no keywords such as HIGH.
func parseCiphers(list string) (ids []uint16, warning string, err error) {
	var unknown, keywords []string
	for name := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ':' || r == ',' || r == ' ' }) {
		id, ok := cipherID(name)
		switch {
		case ok:
			ids = append(ids, id)
		case name[0] == '!' || name[0] == '-': // what is taken out is not in a list that only names bring into being
			if id, named := cipherID(name[1:]); named {
				return nil, "", fmt.Errorf("takes out suite %x ('%s'): list the suites that are wanted instead", id, name)
			}
		case strings.Contains(name, "-"):
			unknown = append(unknown, name)
		default:
			keywords = append(keywords, name)
		}
	}
	switch {
	case len(keywords) > 0:
		return nil, fmt.Sprintf("the words %s are OpenSSL's: the default suites of crypto/tls, which are modern, are offered", quoteList(keywords)), nil
	case len(ids) == 0:
		return nil, "", fmt.Errorf("names no cipher suite that crypto/tls has")
	case len(unknown) > 0:
		warning = fmt.Sprintf("crypto/tls does not have %s: left out", quoteList(unknown))
	}
	return ids, warning, nil
}

func cipherID(name string) (uint16, bool) {
	for _, c := range cipherNames {
		if c.name == name {
			return c.id, true
		}
	}
	return 0, false
}

var tls13Suites = []string{"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}

// checkSuites judges a list of suites of TLS 1.3: crypto/tls always offers all three, so a list that leaves one out
// cannot be honoured.
func checkSuites(list string) (warning string, err error) {
	listed := make(map[string]bool)
	for name := range strings.SplitSeq(list, ":") {
		listed[name] = true
	}
	var missing []string
	for _, suite := range tls13Suites {
		if !listed[suite] {
			missing = append(missing, suite)
		}
		delete(listed, suite)
	}
	if len(missing) == len(tls13Suites) {
		return "", fmt.Errorf("names no cipher suite of TLS 1.3 that crypto/tls has: %s", quoteList(tls13Suites))
	}
	if len(missing) > 0 {
		warning = fmt.Sprintf("crypto/tls offers %s too: its suites of TLS 1.3 cannot be chosen", quoteList(missing))
	}
	return warning, nil
}

var curveNames = map[string]tls.CurveID{
	"X25519": tls.X25519, "P-256": tls.CurveP256, "prime256v1": tls.CurveP256, "secp256r1": tls.CurveP256, "P-384": tls.CurveP384, "secp384r1": tls.CurveP384,
	"P-521": tls.CurveP521, "secp521r1": tls.CurveP521, "X25519MLKEM768": tls.X25519MLKEM768,
}

func parseCurves(list string) ([]tls.CurveID, error) {
	var ids []tls.CurveID
	for name := range strings.SplitSeq(list, ":") {
		id, ok := curveNames[name]
		if !ok {
			return nil, fmt.Errorf("names '%s', a curve that crypto/tls does not have", name)
		}
		ids = append(ids, id)
	}
	return ids, nil
}
