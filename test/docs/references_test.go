package docs

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"waggle/pkg/config"
	"waggle/test/docs/page"
)

const top = "../.."

// pages reads all documents, by their names from the top of the tree.
func pages(t *testing.T) map[string]*page.Page {
	t.Helper()
	names, err := page.Documents(top)
	if err != nil || len(names) < 20 {
		t.Fatalf("documents: %d, %v", len(names), err)
	}
	all := map[string]*page.Page{}
	for _, name := range names {
		if all[name], err = page.Read(filepath.Join(top, name)); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// TestLinksLeadSomewhere: what a link names is in the tree, and has the heading that it names. Those to other hosts are not followed.
func TestLinksLeadSomewhere(t *testing.T) {
	all := pages(t)
	links := 0
	for name, p := range all {
		for _, l := range p.Links {
			links++
			if regexp.MustCompile(`^https?://[a-z0-9]`).MatchString(l.Target) {
				continue
			}
			path, anchor, hasAnchor := strings.Cut(l.Target, "#")
			target := name
			if path != "" {
				target = filepath.Join(filepath.Dir(name), path)
			}
			switch _, err := os.Stat(filepath.Join(top, target)); {
			case err != nil || strings.HasPrefix(target, ".."):
				t.Errorf("%s:%d: there is no %s", name, l.Line, l.Target)
			case hasAnchor && (all[target] == nil || !slices.Contains(all[target].Anchors, anchor)):
				t.Errorf("%s:%d: %s has no heading #%s", name, l.Line, target, anchor)
			}
		}
	}
	if links < 50 {
		t.Errorf("only %d links were found", links)
	}
}

// TestDocumentsAreLinked: a reader who begins with README.md gets everywhere.
func TestDocumentsAreLinked(t *testing.T) {
	all := pages(t)
	reached := map[string]bool{"README.md": true}
	for queue := []string{"README.md"}; len(queue) > 0; queue = queue[1:] {
		for _, l := range all[queue[0]].Links {
			path, _, _ := strings.Cut(l.Target, "#")
			path = filepath.Join(filepath.Dir(queue[0]), path)
			if info, err := os.Stat(filepath.Join(top, path)); err == nil && info.IsDir() {
				path = filepath.Join(path, "README.md")
			}
			if all[path] != nil && !reached[path] {
				reached[path] = true
				queue = append(queue, path)
			}
		}
	}
	for name := range all {
		if !reached[name] {
			t.Errorf("no link leads to %s", name)
		}
	}
}

// TestBlocksAreOfAKnownLanguage: a fence says what is in it, so that none with commands is taken for something else (those are run by
// TestCommandsOfTheDocuments of test/e2e).
func TestBlocksAreOfAKnownLanguage(t *testing.T) {
	for name, p := range pages(t) {
		for _, b := range p.Blocks {
			if !slices.Contains([]string{"sh", "text", "haproxy", "yaml", "diff", "promql"}, b.Language) {
				t.Errorf("%s:%d: a block of %q", name, b.Line, b.Language)
			}
		}
	}
}

// elsewhere are complaints about what an excerpt of a configuration leaves out: files, backends and sections.
var elsewhere = regexp.MustCompile(`no such file|unable to find|unknown backend|no such backend|unknown resolvers`)

// TestConfigurationsInDocuments: what a document shows of haproxy.cfg is taken without an error and without a warning.
func TestConfigurationsInDocuments(t *testing.T) {
	blocks := 0
	for name, p := range pages(t) {
		for _, b := range p.Blocks {
			if b.Language != "haproxy" {
				continue
			}
			blocks++
			text := "" // on the lines where they are in the document
			for _, l := range b.Lines {
				text += l.Text + "\n"
			}
			if strings.HasPrefix(text, " ") { // lines of a proxy that is not shown
				text = "listen excerpt\n" + text
			}
			const rest = "defaults\n mode http\n timeout connect 1s\n timeout client 1s\n timeout server 1s\nresolvers docker\n nameserver dns1 127.0.0.11:53\n"
			_, remarks, err := config.Parse(name, []byte(rest+text), config.LoadOptions{})
			var bad *config.Errors
			if errors.As(err, &bad) {
				remarks = append(remarks, bad.List...)
			} else if err != nil {
				t.Errorf("%s:%d: %v", name, b.Line, err)
			}
			for _, d := range remarks {
				if d.Severity != config.Notice && !elsewhere.MatchString(d.Text) {
					t.Errorf("%s:%d: the configuration: %v: %s", name, b.Line, d.Severity, d.Text)
				}
			}
		}
	}
	if blocks < 5 {
		t.Errorf("only %d configurations were found", blocks)
	}
}

// TestNamesInDocumentsExist: files, flags, metrics and tests that documents name are there, and flags and metrics are in the
// references made from the code.
func TestNamesInDocumentsExist(t *testing.T) {
	manual, metrics := content(t, "docs/man/waggle.1"), content(t, "docs/metrics.md")
	manual = strings.ReplaceAll(manual, `\-`, "-")
	files := regexp.MustCompile(`^(?:bpf|cmd|deploy|docs|pkg|test)/[\w./*-]+$`)
	flag := regexp.MustCompile(`(?:^| )(--[a-z][a-z-]+)`)
	metric := regexp.MustCompile(`^waggle_[a-z_]+$`)
	test := regexp.MustCompile(`^(?:Test|Fuzz)\w+$`)
	ofOthers := []string{"--help", "--rm", "--once", "--tasks", "--name", "--network", "--label-add"} // of everything, of docker, and of waggle demo
	tests := allTests(t)
	for name, p := range pages(t) {
		if name == "docs/metrics.md" {
			continue
		}
		for _, l := range append(p.Commands(), p.Code...) {
			for _, m := range flag.FindAllStringSubmatch(l.Text, -1) {
				if !strings.Contains(manual, m[1]) && !slices.Contains(ofOthers, m[1]) {
					t.Errorf("%s:%d: waggle.1 has no %s", name, l.Number, m[1])
				}
			}
			switch {
			case files.MatchString(l.Text):
				if found, err := filepath.Glob(filepath.Join(top, l.Text)); err != nil || len(found) == 0 {
					if !tests[l.Text[strings.LastIndex(l.Text, ".")+1:]] { // package.TestName, which TestThreatsHaveTests looks at
						t.Errorf("%s:%d: there is no %s", name, l.Number, l.Text)
					}
				}
			case metric.MatchString(l.Text) && !strings.Contains(metrics, "`"+l.Text):
				t.Errorf("%s:%d: metrics.md has no %s", name, l.Number, l.Text)
			case test.MatchString(l.Text) && !tests[l.Text]:
				t.Errorf("%s:%d: there is no test %s", name, l.Number, l.Text)
			}
		}
	}
}

func content(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// allTests has the names of the tests and fuzz targets of the whole tree.
func allTests(t *testing.T) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for _, dir := range []string{"bpf", "cmd", "deploy", "pkg", "test"} {
		err := filepath.WalkDir(filepath.Join(top, dir), func(path string, _ os.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, m := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`).FindAllSubmatch(text, -1) {
				all[string(m[1])] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// TestFilesSpeakOfDocumentsThatExist: so do comments of sources, stacks and scripts.
func TestFilesSpeakOfDocumentsThatExist(t *testing.T) {
	document := regexp.MustCompile(`\b(?:docs|bpf)/[\w/-]+\.md\b`)
	seen := 0
	for _, dir := range []string{"bpf", "cmd", "deploy", "pkg", "test", "docker-stack.yml", "Makefile"} {
		err := filepath.WalkDir(filepath.Join(top, dir), func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || !slices.Contains([]string{".go", ".h", ".c", ".yml", ".cfg", ".sh", ".service", ""}, filepath.Ext(path)) {
				return err
			}
			text, err := os.ReadFile(path)
			for _, name := range document.FindAllString(string(text), -1) {
				seen++
				if _, err := os.Stat(filepath.Join(top, name)); err != nil {
					t.Errorf("%s speaks of %s, which is not there", strings.TrimPrefix(path, top+"/"), name)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen < 10 {
		t.Errorf("only %d mentions were found", seen)
	}
}
