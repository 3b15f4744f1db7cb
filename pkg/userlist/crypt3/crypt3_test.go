package crypt3

import (
	"errors"
	"runtime"
	"strings"
	"testing"
)

// The hashes are those that crypt(3) of libxcrypt 4.4.33 makes.
func TestMatch(t *testing.T) {
	for _, hash := range hashes(t) {
		password, text, _ := strings.Cut(hash, " ")
		h, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if !h.Match([]byte(password)) {
			t.Errorf("%q does not match %s", password, text)
		}
		for _, wrong := range []string{"", password + "x", strings.ToUpper(password), strings.Repeat("x", MaxPassword+1)} {
			if wrong != password && h.Match([]byte(wrong)) {
				t.Errorf("%q matches %s", wrong, text)
			}
		}
	}
}

func TestParse(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"*", ErrNever.Error()},
		{"!$6$abc", ErrNever.Error()},
		{"", ErrNever.Error()},
		{"secret", ErrNever.Error()},
		{"$", ErrNever.Error()},
		{"$6$", ErrNever.Error()},
		{"$6$abc$short", ErrNever.Error()},
		{"$6$rounds=10$abc$" + strings.Repeat("a", 86), ErrNever.Error()},
		{"$6$rounds=x$abc$" + strings.Repeat("a", 86), ErrNever.Error()},
		{"$6$abc$" + strings.Repeat("a", 85) + "*", ErrNever.Error()},
		{"$6$" + strings.Repeat("s", 17) + "$" + strings.Repeat("a", 86), ErrNever.Error()},
		{"$6$rounds=999999999$abc$" + strings.Repeat("a", 86), "takes seconds"},
		{"$apr1$abc$aaaaaaaaaaaaaaaaaaaaaa", ErrNever.Error()},
		{"$2y$31$" + strings.Repeat("a", 53), "takes minutes"},
		{"$2y$05$short", ErrNever.Error()},
		{"$2y$03$" + strings.Repeat("a", 53), ErrNever.Error()},
		{"$2y$32$" + strings.Repeat("a", 53), ErrNever.Error()},
		{"$2y$-5$" + strings.Repeat("a", 53), ErrNever.Error()},
		{"$2y$055" + strings.Repeat("a", 53), ErrNever.Error()},
		{"$2y$05$" + strings.Repeat("*", 22) + strings.Repeat("a", 31), ErrNever.Error()},
		{"$2y$05$" + strings.Repeat("a", 22) + strings.Repeat("=", 31), ErrNever.Error()},
		{"$y$j9T$abc$def", "kind $y$"},
		{"abNANd1rDfiNc", "DES"},
		{"_J9..rasmz0.F/jqjWck", "DES"},
	} {
		h, err := Parse(tt.text)
		if h != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Parse(%q) = %v, %v, want %q", tt.text, h, err, tt.want)
		}
	}
	if _, err := Parse("*"); !errors.Is(err, ErrNever) {
		t.Error(err)
	}
}

// TestHashesLetOthersIn: another goroutine has its turn all the time while a hash is made, also if there is one place to run
// Go code. Without yielding it would have one each 10 ms, when the runtime preempts.
func TestHashesLetOthersIn(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for name, want := range map[string]int{
		"$1$abc$" + strings.Repeat("a", 22): 1000 / yieldEvery,
		"$5$abc$" + strings.Repeat("a", 43): 5000 / yieldEvery,
		"$6$abc$" + strings.Repeat("a", 86): 5000 / yieldEvery,
		"$2y$08$" + strings.Repeat("a", 53): 1 << 8,
	} {
		h, err := Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		turns := 0
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for {
				select {
				case <-stop:
					return
				default:
					turns++
					runtime.Gosched()
				}
			}
		}()
		h.Match([]byte("x"))
		close(stop)
		<-stopped
		if turns < want/2 {
			t.Errorf("%s: another goroutine had %d turns, want %d", name[:3], turns, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("$6$abc$x", "y")
	f.Add("$5$rounds=1000$abc$x", "y")
	f.Fuzz(func(t *testing.T, text, password string) {
		if h, err := Parse(text); err == nil && h.rounds <= defaultRounds {
			h.Match([]byte(password))
		}
	})
}

func BenchmarkSHA512(b *testing.B) {
	for b.Loop() {
		sha512crypt([]byte("secret"), []byte("abcdefgh"), defaultRounds)
	}
}
