package proxy

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"waggle/pkg/userlist/crypt3"
)

// TestGuessesStarveNobody: while several clients try passwords out without a pause, each of which costs the time of hundreds
// of requests, another client is served more often than passwords are checked: no request waits for a hash. Were they
// checked on the loop, each would wait for those of all guessers.
func TestGuessesStarveNobody(t *testing.T) {
	const guessers, requests = 8, 200
	w, l := loginWorld(t)
	text, err := bcrypt.GenerateFromPassword([]byte("secret"), 10)
	if err != nil {
		t.Fatal(err)
	}
	h, err := crypt3.Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	w.onLoop(func(*worker) { l.Users["a"].Hash = h })

	var guesses, failed atomic.Int64
	var stop atomic.Bool
	var all sync.WaitGroup
	for g := range guessers {
		c := w.dial()
		all.Go(func() {
			for n := 0; !stop.Load(); n++ {
				r, _ := http.NewRequest("GET", "http://t/private", nil)
				r.SetBasicAuth("a", fmt.Sprint("guess ", g, " ", n))
				if err := r.Write(c.TCPConn); err != nil {
					failed.Add(1)
					return
				}
				resp, err := http.ReadResponse(c.r, r)
				if err != nil || resp.StatusCode != 401 {
					failed.Add(1)
					return
				}
				_, _ = resp.Body.Read(make([]byte, 1<<10))
				resp.Body.Close()
				guesses.Add(1)
			}
		})
	}
	eventually(t, "all wait or are checked", func() bool { return guesses.Load() > 0 && w.waiting() > guessers/2 })
	before := guesses.Load()
	other := w.dial()
	for i := range requests {
		if status, _ := other.get("/other"); status != 200 {
			t.Fatalf("request %d: status %d", i, status)
		}
	}
	meanwhile := guesses.Load() - before
	eventually(t, "somebody waits", func() bool { return w.waiting() > 0 })
	if n := failed.Load(); n > 0 {
		t.Errorf("%d guessers have given up", n)
	}
	stop.Store(true)
	all.Wait()
	if meanwhile >= requests {
		t.Errorf("%d passwords were checked in the time of %d requests", meanwhile, requests)
	}
	t.Logf("%d passwords in the time of %d requests", meanwhile, requests)
}
