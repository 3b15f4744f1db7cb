package datapath

import (
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"

	"waggle/pkg/lab/require"
)

// nft runs nft in the room and returns what it says.
func (r *room) nft(t *testing.T, path, input string, args ...string) string {
	t.Helper()
	var out []byte
	r.must(t, "nft", func() (err error) {
		cmd := exec.Command(path, args...)
		cmd.Stdin = strings.NewReader(input)
		if out, err = cmd.CombinedOutput(); err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
		return err
	})
	return string(out)
}

// Rules of netfilter that are there stay as they are, and hold for all that is not a flow of ours: that goes past them.
func TestNetfilterIsLeftInPeace(t *testing.T) {
	require.Root(t)
	nft := require.Tool(t, "nft")
	top := taskTopology(t, 1)
	top.lb.nft(t, nft, `table inet theirs {
	counter seen { }
	chain input { type filter hook input priority 0; policy accept; tcp dport 7777 counter name seen; tcp dport 7778 reject with tcp reset; }
	chain forward { type filter hook forward priority 0; policy drop; }
}`, "-f", "-")
	serve(top.lb.listen(t, ":7777"), func(c net.Conn) { fmt.Fprintln(c, "local") })
	serve(top.lb.listen(t, ":7778"), func(c net.Conn) { fmt.Fprintln(c, "local") })
	rules := top.lb.nft(t, nft, "", "-s", "list", "ruleset")
	dp := openIn(t, top.lb, Options{})
	if err := dp.Sync(oneService(1)); err != nil {
		t.Fatal(err)
	}
	top.talk(t).round(t) // although their policy is to forward nothing
	if conn, err := top.client.dial(frontAddr + ":7777"); err != nil {
		t.Error(err)
	} else {
		conn.Close()
	}
	if conn, err := top.client.dial(frontAddr + ":7778"); err == nil {
		conn.Close()
		t.Error("their rule does not hold any more")
	}
	if got := top.lb.nft(t, nft, "", "list", "counter", "inet", "theirs", "seen"); strings.Contains(got, "packets 0 ") {
		t.Errorf("their counter has seen nothing: %s", got)
	}
	if err := dp.Close(); err != nil {
		t.Fatal(err)
	}
	if now := top.lb.nft(t, nft, "", "-s", "list", "ruleset"); now != rules {
		t.Errorf("the rules were\n%s\nand are\n%s", rules, now)
	}
}
