// Package page reads a document: its blocks of code, code between its words, links and the places that links may lead to. It
// knows the part of Markdown that the documents here use.
package page

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Line is a line of a document, without the white space around it.
type Line struct {
	Number int // from 1
	Text   string
}

// Block is code that stands by itself.
type Block struct {
	Line     int    // of its first line of code, from 1
	Language string // what a fence says; "sh" of an indented block, which is commands here
	Lines    []Line
}

// Link leads somewhere.
type Link struct {
	Line   int
	Target string // as it is written: an address, or a path relative to the document, with an anchor or not
}

// Page is a document.
type Page struct {
	Blocks  []Block
	Code    []Line   // between words, without the backquotes; not that of headings, which are the messages of troubleshooting.md
	Links   []Link   // outside of code
	Anchors []string // of headings, as GitHub makes them
}

// Read reads a document.
func Read(file string) (*Page, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return Parse(string(content)), nil
}

var (
	heading = regexp.MustCompile(`^#{1,6} +(.*?) *#*$`)
	inline  = regexp.MustCompile("`+[^`]+`+")
	link    = regexp.MustCompile(`\]\(([^()\s]+)\)|<(https?://[^>\s]+)>`)
)

// Parse reads the text of a document.
func Parse(text string) *Page {
	p := &Page{}
	var block *Block // the one that is open
	fence := ""      // what closes it; empty for an indented one
	empty := true    // whether the line before was
	end := func() {
		if block != nil {
			p.Blocks = append(p.Blocks, *block)
		}
		block, fence = nil, ""
	}
	seen := map[string]int{}
	for i, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		number := i + 1
		switch {
		case fence != "" && trimmed == fence:
			end()
		case fence != "":
			block.Lines = append(block.Lines, Line{number, strings.TrimRight(line, " ")})
		case strings.HasPrefix(trimmed, "```"):
			end()
			fence = trimmed[:len(trimmed)-len(strings.TrimLeft(trimmed, "`"))]
			block = &Block{Line: number + 1, Language: strings.TrimPrefix(trimmed, fence)}
		case trimmed == "":
			end()
		case strings.HasPrefix(line, "    ") && (block != nil || empty): // else it goes on with an item of a list
			if block == nil {
				block = &Block{Line: number, Language: "sh"}
			}
			block.Lines = append(block.Lines, Line{number, trimmed})
		default:
			end()
			p.text(number, line, seen)
		}
		empty = trimmed == ""
	}
	end()
	return p
}

// text reads a line that is not in a block.
func (p *Page) text(number int, line string, seen map[string]int) {
	if m := heading.FindStringSubmatch(line); m != nil {
		p.Anchors = append(p.Anchors, anchor(m[1], seen))
	} else {
		for _, code := range inline.FindAllString(line, -1) {
			p.Code = append(p.Code, Line{number, strings.TrimSpace(strings.ReplaceAll(strings.Trim(code, "`"), `\|`, "|"))})
		}
	}
	for _, m := range link.FindAllStringSubmatch(inline.ReplaceAllString(line, "`"), -1) {
		p.Links = append(p.Links, Link{number, m[1] + m[2]})
	}
}

// anchor is the name that GitHub gives to a heading: lower case, hyphens for spaces, nothing but letters, digits and _ besides; a
// number behind one that was there before.
func anchor(title string, seen map[string]int) string {
	title = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`).ReplaceAllString(title, "$1")
	name := strings.ReplaceAll(strings.ToLower(title), " ", "-")
	name = regexp.MustCompile(`[^\p{L}\p{N}_-]`).ReplaceAllString(name, "")
	n := seen[name]
	seen[name]++
	if n > 0 {
		name += "-" + string(rune('0'+n%10))
	}
	return name
}

// programs are those whose commands documents show between words. Those of waggle that take something are only named, not shown,
// where nothing follows.
var programs = regexp.MustCompile(`^(?:waggle (?:-|(?:flows|top|stats|healthcheck|version)\b|(?:run|check|explain|trace|demo|sysdump|completion|help) +\S)|` +
	`go (?:run|test|generate) .*\./|(?:bin/waggle|make|docker +\S+|bpftool|sysctl|ip|tc|rm|echo|socat|systemctl|systemd-analyze|curl|show) +\S)`)

// Commands lists the commands of the document in their order: the lines of blocks of shell, and what reads as a command between
// words. A line that ends with a backslash goes on in the next one. Lines of comment are none.
func (p *Page) Commands() []Line {
	var all []Line
	for _, b := range p.Blocks {
		if b.Language != "sh" {
			continue
		}
		open := false
		for _, l := range b.Lines {
			text := strings.TrimSpace(l.Text)
			if text == "" || strings.HasPrefix(text, "#") {
				continue
			}
			part, goesOn := strings.CutSuffix(text, `\`)
			if open {
				all[len(all)-1].Text += part
			} else {
				all = append(all, Line{l.Number, part})
			}
			open = goesOn
		}
	}
	for _, l := range p.Code {
		if programs.MatchString(l.Text) && !strings.ContainsAny(l.Text, "<…[") && !strings.Contains(l.Text, "...") {
			all = append(all, l)
		}
	}
	return all
}

// Documents lists the documents of a tree, relative to its top: README.md, and those of bpf, deploy and docs.
func Documents(top string) ([]string, error) {
	documents := []string{"README.md"}
	for _, dir := range []string{"bpf", "deploy", "docs"} {
		err := filepath.WalkDir(filepath.Join(top, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".md" {
				return err
			}
			name, err := filepath.Rel(top, path)
			documents = append(documents, name)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return documents, nil
}
