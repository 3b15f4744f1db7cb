package stats

import (
	"encoding/csv"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"waggle/pkg/pool"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); d != "" {
		t.Errorf("%s differs (-want +got):\n%s", path, d)
	}
}

func TestGolden(t *testing.T) {
	for _, tt := range []struct {
		file string
		make func(*Snapshot) []byte
	}{
		{"seed.csv", func(s *Snapshot) []byte { return Proxies(s, Plain, Filter{Legends: true}) }},
		{"seed.typed", func(s *Snapshot) []byte { return Proxies(s, Typed, Filter{}) }},
		{"info.txt", func(s *Snapshot) []byte { return ProcessInfo(s, Plain, false) }},
		{"info.typed", func(s *Snapshot) []byte { return ProcessInfo(s, Typed, false) }},
	} {
		t.Run(tt.file, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { golden(t, tt.file, tt.make(swarm())) })
		})
	}
}

// TestCSVShape reads the CSV back as a tool does.
func TestCSVShape(t *testing.T) {
	out := string(Proxies(swarm(), Plain, Filter{}))
	header, _, _ := strings.Cut(out, "\n")
	if !strings.HasPrefix(header, "# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,") || !strings.HasSuffix(header, ",h3req,proto,-,") {
		t.Errorf("header %q", header)
	}
	records, err := csv.NewReader(strings.NewReader(out)).ReadAll() // all lines have to be of the same length
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, r := range records[1:] {
		rows = append(rows, r[0]+"/"+r[1])
		if len(r) != 115 || r[113] != "-" || r[114] != "" {
			t.Errorf("%s ends in %q", rows[len(rows)-1], r[112:])
		}
	}
	want := []string{"haproxyPractice/FRONTEND", "web_service/web-1", "web_service/web-2", "web_service/web-3", "web_service/BACKEND",
		"stat/BACKEND", "db/FRONTEND", "db/plain", "db/broken", "db/drained", "db/shelved", "db/spare", "db/BACKEND"}
	if d := cmp.Diff(want, rows); d != "" {
		t.Errorf("rows (-want +got):\n%s", d)
	}
	if broken := records[9]; broken[56] != `refused, "no" route` {
		t.Errorf("last_chk of db/broken is %q", broken[56])
	}
}

// TestJSONIsTyped reads the JSON back and makes of it the typed format: both say the same.
func TestJSONIsTyped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := swarm()
		var objects [][]struct {
			ObjType     string
			ProxyID, ID int
			Field       struct {
				Pos  int
				Name string
			}
			ProcessNum int
			Tags       struct{ Origin, Nature, Scope string }
			Value      struct {
				Type  string
				Value any
			}
		}
		dec := json.NewDecoder(strings.NewReader(string(Proxies(s, JSON, Filter{}))))
		dec.UseNumber()
		if err := dec.Decode(&objects); err != nil {
			t.Fatal(err)
		}
		letter := map[string]string{"Avg": "a"}
		var got strings.Builder
		for _, o := range objects {
			for _, c := range o {
				nature := letter[c.Tags.Nature]
				if nature == "" {
					nature = c.Tags.Nature[:1]
				}
				value := fmt.Sprint(c.Value.Value)
				if _, isText := c.Value.Value.(string); isText != (c.Value.Type == "str") {
					t.Errorf("%s is declared %s and is %T", c.Field.Name, c.Value.Type, c.Value.Value)
				}
				fmt.Fprintf(&got, "%c.%d.%d.%d.%s.%d:%c%s%c:%s:%s\n", c.ObjType[0], c.ProxyID, c.ID, c.Field.Pos, c.Field.Name, c.ProcessNum,
					c.Tags.Origin[0], nature, c.Tags.Scope[0], c.Value.Type, value)
			}
		}
		if d := cmp.Diff(strings.Split(string(Proxies(s, Typed, Filter{})), "\n"), strings.Split(got.String(), "\n")); d != "" {
			t.Errorf("typed and JSON differ (-typed +JSON):\n%s", d)
		}
	})
}

// TestTypedLines checks the form of every line, so that a reader which splits at colons and dots works.
func TestTypedLines(t *testing.T) {
	form := regexp.MustCompile(`^[FBS]\.\d+\.\d+\.\d+\.[a-z0-9_]+\.1:[MSKCP][AaCDGLMNOR][PS]:(u32|s32|u64|str):.*$`)
	for _, l := range strings.Split(strings.TrimSpace(string(Proxies(swarm(), Typed, Filter{Legends: true}))), "\n") {
		if !form.MatchString(l) {
			t.Errorf("line %q", l)
		}
	}
}

func TestTextsStayOnTheirLine(t *testing.T) {
	s := swarm()
	s.Pool.Backends[2].Servers()[1].ReportCheck(pool.CheckResult{Status: pool.CheckL7Rsp, Info: "one\r\ntwo"})
	s.Process.Description = "a\nb: c"
	for name, out := range map[string]string{"typed": string(Proxies(s, Typed, Filter{})), "info": string(ProcessInfo(s, Plain, false))} {
		for _, l := range strings.Split(strings.TrimRight(out, "\n"), "\n") {
			if l == "" || strings.HasPrefix(l, "two") || strings.HasPrefix(l, "b:") || strings.Contains(l, "\r") {
				t.Errorf("%s has the line %q", name, l)
			}
		}
	}
	if !strings.Contains(string(Proxies(s, Plain, Filter{})), "\"one\r\ntwo\"") {
		t.Error("CSV does not quote a line break")
	}
}

func TestEmptySnapshot(t *testing.T) {
	s := &Snapshot{}
	if got := string(Proxies(s, JSON, Filter{})); got != "[]\n" {
		t.Errorf("JSON %q", got)
	}
	if got := Proxies(s, Typed, Filter{}); len(got) != 0 {
		t.Errorf("typed %q", got)
	}
	if got := string(ProcessInfo(s, Plain, false)); !strings.Contains(got, "\nCurrConns: 0\n") {
		t.Errorf("info %q", got)
	}
}

// TestNumbersAreDecimal guards what a cell looks like at the ends of its range.
func TestNumbersAreDecimal(t *testing.T) {
	for v, want := range map[Value]string{
		count(0): "0", count(1<<64 - 1): strconv.FormatInt(1<<63-1, 10), integer(-1): "-1", {}: "",
		micros(1999): "1", micros(999): "0", word(""): "", word("x"): "x",
	} {
		if v.String() != want {
			t.Errorf("%#v is written %q, want %q", v, v.String(), want)
		}
	}
	if f := micros(1500).Float(); f != 0.0015 {
		t.Errorf("1500 µs is %v s", f)
	}
}
