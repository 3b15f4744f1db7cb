package stats

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strings"

	"waggle/pkg/config"
	"waggle/pkg/userlist"
)

// authorized says whether the request carries one of the page's credentials, by HTTP Basic
// authentication (RFC 7617). It takes the same time whichever credentials are wrong and where.
func authorized(cfg *config.Stats, req *Request) bool {
	if len(cfg.Auth) == 0 {
		return true
	}
	scheme, encoded, _ := strings.Cut(req.header("authorization"), " ")
	given, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil || !strings.EqualFold(scheme, "basic") {
		return false
	}
	got := sha256.Sum256(given)
	match := 0
	for _, known := range cfg.Auth {
		want := sha256.Sum256([]byte(known))
		match |= subtle.ConstantTimeCompare(got[:], want[:])
	}
	return match == 1
}

func unauthorized(cfg *config.Stats) Response {
	r := reply(401, "text/html", []byte("<html><body><h1>401 Unauthorized</h1>\n"+
		"You need a valid user and password to access this content.\n</body></html>\n"))
	r.set("www-authenticate", userlist.Challenge(cmp.Or(cfg.Realm, config.StatsRealm)))
	return r
}
