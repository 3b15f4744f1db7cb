package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"waggle/pkg/certs"
	"waggle/pkg/config"
)

// checkReport is what `check --json` prints. The manual page is made of the doc tags.
type checkReport struct {
	Valid       bool     `json:"valid" doc:"true if waggle would start with these files"`
	Files       []string `json:"files" doc:"what -f named"`
	Truncated   bool     `json:"truncated" doc:"true if there were too many errors, so that the rest was not read"`
	Diagnostics []remark `json:"diagnostics" doc:"what there is to say, each an object of the fields below"`
}

// remark is one diagnostic of a checkReport.
type remark struct {
	File     string `json:"file,omitempty" doc:"where; left out if no file is meant"`
	Line     int    `json:"line,omitempty" doc:"from 1; left out if no line is meant"`
	Column   int    `json:"column,omitempty" doc:"from 1, in bytes; left out if unknown"`
	Severity string `json:"severity" doc:"alert (the files cannot be used), warning or notice"`
	Message  string `json:"message" doc:"what is wrong"`
	Hint     string `json:"hint,omitempty" doc:"what was probably meant, or what to write instead; left out if unknown"`
	Source   string `json:"source,omitempty" doc:"the line as it stands in the file"`
}

func (r *checkReport) add(found ...config.Diagnostic) {
	for _, d := range found {
		message, hint := d.Parts()
		r.Diagnostics = append(r.Diagnostics, remark{
			File: d.Pos.File, Line: d.Pos.Line, Column: d.Pos.Col,
			Severity: strings.ToLower(d.Severity.String()), Message: message, Hint: hint, Source: d.Line,
		})
	}
}

// noListener is what HAProxy says of a file that is right and of no use, with an exit code of its own.
const noListener = "Configuration file has no error but will not start (no listener)"

// checkJSON is check for a program that reads: all goes to standard output, whatever it is. The exit codes are those
// of check.
func checkJSON(e Env, s *settings) int {
	if len(s.files) == 0 {
		return failUsage(e, noFile)
	}
	var said found
	cfg := said.load(e, s)
	code := ExitFailed
	if cfg != nil {
		bad := certs.Check(cfg)
		said.all = append(said.all, bad...)
		switch {
		case len(bad) > 0:
		case !listens(cfg):
			code = ExitUsage
			said.all = append(said.all, config.Diagnostic{Severity: config.Alert, Text: noListener})
		default:
			code = ExitOK
		}
	}
	report := checkReport{Valid: code == ExitOK, Files: s.files, Truncated: said.truncated, Diagnostics: []remark{}}
	report.add(said.all...)
	if err := writeJSON(e.Stdout, report); err != nil {
		return failStart(e, err)
	}
	return code
}

// writeJSON prints what a command has to say, for people to read, too.
func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false) // <addr> is to be read as it is
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// found is what there is to say about a configuration that was read, in order.
type found struct {
	all       config.Diagnostics
	truncated bool // there were too many errors
	unusable  bool // there were errors
}

// load reads the configuration; nil if it cannot be used.
func (f *found) load(e Env, s *settings) *config.Config {
	cfg, remarks, err := config.Load(s.files, config.LoadOptions{Getenv: e.Getenv, LocalPeer: s.localPeer})
	if !s.quiet {
		for _, text := range s.notices {
			f.all = append(f.all, config.Diagnostic{Severity: config.Notice, Text: text})
		}
		f.all = append(f.all, remarks...)
	}
	var bad *config.Errors
	switch {
	case errors.As(err, &bad):
		f.all, f.truncated, f.unusable = append(f.all, bad.List...), bad.Truncated, true
	case err != nil:
		f.alert(err.Error())
	case s.strict && warned(remarks):
		f.alert("Some warnings were found, and they are errors here (--strict, -dW). Aborting.")
	default:
		s.override(cfg)
		return cfg
	}
	return nil
}

func (f *found) alert(text string) {
	f.all = append(f.all, config.Diagnostic{Severity: config.Alert, Text: text})
}

// print writes it as HAProxy does.
func (f *found) print(w io.Writer) {
	pid := os.Getpid()
	for _, d := range f.all {
		if d.Pos.File == "" { // not about a file: of the command line
			fmt.Fprintf(w, "%-10s (%d) : %s\n", "["+d.Severity.String()+"]", pid, d.Text)
			continue
		}
		fmt.Fprintln(w, d.Format(pid))
	}
	if f.truncated {
		fmt.Fprintf(w, "[ALERT]    (%d) : config : too many errors, the rest was not read.\n", pid)
	}
}
