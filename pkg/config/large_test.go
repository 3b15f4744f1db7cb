package config

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// largeFiles are configurations of n lines or sections of a kind that look others up by name.
var largeFiles = map[string]func(n int) string{
	"backends": func(n int) string {
		return "frontend f\n bind :80\n" + lines(n, " use_backend bN if { path /N }\n") + lines(n, "backend bN\n server s 192.0.2.1:80\n")
	},
	"frontends": func(n int) string {
		return lines(n, "frontend fN\n bind 127.0.0.1:N\n default_backend b\n") + "backend b\n server s 192.0.2.1:80\n"
	},
	"servers": func(n int) string { return "backend b\n" + lines(n, " server sN 192.0.2.1:80 check\n") },
	"tracking": func(n int) string {
		return "backend b\n server s0 192.0.2.1:80 track s1\n" + lines(n-2, " server sN 192.0.2.1:80 track sM\n") + fmt.Sprintf(" server s%d 192.0.2.1:80 check\n", n-1)
	},
	"acls": func(n int) string {
		return "frontend f\n bind :80\n" + lines(n, " acl aN path /\n") + " default_backend b\nbackend b\n server s 192.0.2.1:80\n"
	},
}

// lines repeats a text with the numbers from 1 to n in place of N, and the one behind each in place of M.
func lines(n int, text string) string {
	var b strings.Builder
	for i := 1; i <= n; i++ {
		b.WriteString(strings.NewReplacer("N", strconv.Itoa(i), "M", strconv.Itoa(i+1)).Replace(text))
	}
	return b.String()
}

// BenchmarkLargeFiles reads them twice as large each time: a time that grows by four instead of two is one to look into.
func BenchmarkLargeFiles(b *testing.B) {
	const begin = "defaults\n mode http\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n"
	for name, file := range largeFiles {
		for _, n := range []int{2000, 4000, 8000} {
			text := []byte(begin + file(n))
			b.Run(fmt.Sprint(name, "/", n), func(b *testing.B) {
				for b.Loop() {
					if _, _, err := Parse("t", text, LoadOptions{}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
