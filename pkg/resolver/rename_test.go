package resolver_test

import (
	"testing"
	"testing/synctest"
	"time"

	"waggle/pkg/resolver"
)

// A group that comes while names are resolved is asked for at once, and one that goes is not asked for any more.
func TestNamesComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSwarm(t, swarmOptions{first: tasks("10.0.0.1", "10.0.0.2", "10.0.0.3"), noCheck: true})
		s.dns.setName("db.", tasks("10.0.9.9"))
		time.Sleep(1500 * time.Millisecond)
		third := s.backend.Servers()[2]
		db, _ := third.Follow("db", nil, "stats socket command")
		s.res.Add(db, resolver.Want{})
		time.Sleep(10 * time.Millisecond) // the nameserver takes 1 ms
		s.wantLogged("web_service/web-3 changed its FQDN from web to db by 'stats socket command'.",
			"web_service/web-3 changed its IP from 10.0.0.3 to 10.0.9.9 by docker/dns1.")
		if n := len(s.res.Status()); n != 2 {
			t.Errorf("%d names are followed", n)
		}
		s.dns.setName("db.", tasks("10.0.9.8"))
		time.Sleep(time.Second)
		s.wantLogged("web_service/web-3 changed its IP from 10.0.9.9 to 10.0.9.8 by docker/dns1.")

		third.Follow("web", s.group, "")
		s.res.Remove(db)
		time.Sleep(time.Second)
		s.wantLogged("web_service/web-3 changed its IP from 10.0.9.8 to 10.0.0.3 by docker/dns1.")
		before := s.askedFor("db.")
		time.Sleep(time.Minute)
		if n := s.askedFor("db.") - before; n != 0 || len(s.res.Status()) != 1 {
			t.Errorf("%d questions about a name that nobody follows", n)
		}
	})
}

// askedFor counts the questions about a name.
func (s *swarm) askedFor(name string) (n int) {
	for _, q := range s.dns.asked() {
		if q.name == name {
			n++
		}
	}
	return n
}
