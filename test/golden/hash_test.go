package golden

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"waggle/pkg/lab/require"
)

// hashLines are lines of a backend whose algorithm goes by a key.
var hashLines = []string{
	"balance uri",
	"balance uri whole",
	"balance uri len 9",
	"balance uri depth 1",
	"balance uri depth 2 whole",
	"balance uri path-only",
	"balance uri\n hash-type map-based djb2",
	"balance uri\n hash-type map-based wt6",
	"balance uri\n hash-type map-based crc32 avalanche",
	"balance uri\n hash-type map-based sdbm avalanche",
	"balance uri\n hash-type consistent",
	"balance uri\n hash-type consistent sdbm",
	"balance uri\n hash-type consistent wt6 avalanche",
	"balance uri\n hash-type consistent\n hash-balance-factor 1000",
	"balance url_param id",
	"balance url_param id\n hash-type consistent djb2",
	"balance hdr(host)",
	"balance hdr(host) use_domain_only",
	"balance hdr(x-list)\n hash-type consistent crc32",
	"balance hash path,lower",
	"balance hash url_param(n),mul(3)",
	"balance hash hdr_ip(x-ip)\n hash-type consistent",
}

// Each key goes to the server that HAProxy gives it, with equal weights and with others.
func TestHashesAgree(t *testing.T) {
	program := require.Tool(t, "haproxy")
	subnet := byte(1 + os.Getpid()%200)
	servers := startServers(t, subnet)
	for _, weights := range [][]int{{1, 1, 1, 1}, {3, 1, 10, 2}} {
		var b strings.Builder
		fmt.Fprint(&b, "defaults\n mode http\n timeout client 5s\n timeout server 5s\n timeout connect 5s\nfrontend f\n bind {{f1}}\n use_backend b%[req.hdr(x-case)]\n")
		for i, line := range hashLines {
			fmt.Fprintf(&b, "backend b%d\n %s\n", i, line)
			for n, w := range weights {
				fmt.Fprintf(&b, " server s%d {{s%d}} weight %d\n", n+1, n+1, w)
			}
		}
		s := &scenario{config: b.String()}
		for i := range hashLines {
			for n := range 12 {
				s.clauses = append(s.clauses, exchange{
					front: "f1", method: "GET", version: "HTTP/1.1", line: i,
					target:  fmt.Sprintf("/a%d/b%d/C%d?q=%d&id=%d&n=%d", n%5, n%7, n, n, n*977, n*31),
					headers: []string{fmt.Sprintf("host: www%d.site%d.example%d.org", n%2, n, n%3), fmt.Sprintf("x-list: v%d, w", n), fmt.Sprintf("x-ip: 10.%d.3.%d", n, n*7), fmt.Sprintf("x-case: %d", i)},
				})
			}
		}
		ours := s.run(t, servers, fmt.Sprintf("127.77.%d.1", subnet), "waggle", func(file, _ string) func() { return startWaggle(t, file) })
		theirs := s.run(t, servers, fmt.Sprintf("127.77.%d.2", subnet), "haproxy", func(file, probe string) func() { return startHAProxy(t, program, file, probe) })
		wrong, used := map[int]int{}, map[int]map[string]bool{}
		for i, x := range s.clauses {
			if ours[i].server != theirs[i].server {
				wrong[x.line]++
			}
			if used[x.line] == nil {
				used[x.line] = map[string]bool{}
			}
			used[x.line][ours[i].server] = true
		}
		for i, line := range hashLines {
			if wrong[i] > 0 {
				t.Errorf("weights %v, %q: %d of 12 keys go elsewhere", weights, line, wrong[i])
			}
			if len(used[i]) < 2 {
				t.Errorf("weights %v, %q: all keys go to %v", weights, line, used[i])
			}
		}
	}
}
