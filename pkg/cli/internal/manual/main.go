// Manual writes the manual pages waggle.1 and waggle.cfg.5 from the tables that the command line and the
// configuration are read by.
package main

import (
	"cmp"
	"fmt"
	"os"
	"strings"

	"waggle/pkg/cli"
	"waggle/pkg/config"
)

func main() {
	pages := map[string]func() string{"waggle": commandPage, "cfg": configPage}
	if len(os.Args) != 3 || pages[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: manual waggle|cfg FILE")
		os.Exit(2)
	}
	if err := os.WriteFile(os.Args[2], []byte(pages[os.Args[1]]()), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// page is a manual page in the language of mdoc(7).
type page struct{ strings.Builder }

func (p *page) macro(words ...string) { p.WriteString("." + strings.Join(words, " ") + "\n") }

// text writes a paragraph, one sentence a line as mdoc wants it.
func (p *page) text(s string) {
	for line := range strings.SplitSeq(strings.TrimSpace(s), "\n") {
		p.WriteString(escape(strings.TrimSpace(line)) + "\n")
	}
}

// item begins an entry of a list.
func (p *page) item(head, body string) {
	p.macro("It", quote(head))
	p.text(body)
}

// escape keeps roff from reading a line of text as a request.
func escape(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "…", "...").Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}

// quote makes one argument of a macro.
func quote(s string) string { return `"` + strings.ReplaceAll(escape(s), `"`, `\(dq`) + `"` }

func header(name string, section int, what string) *page {
	p := &page{}
	p.WriteString(".\\\" Made by \"go generate\" from the program's own tables. Do not edit.\n")
	p.macro("Dd $Mdocdate$")
	p.macro("Dt", strings.ToUpper(name), fmt.Sprint(section))
	p.macro("Os")
	p.macro("Sh NAME")
	p.macro("Nm", name)
	p.macro("Nd", what)
	return p
}

func commandPage() string {
	r := cli.NewReference()
	p := header("waggle", 1, "balance over the tasks of Docker Swarm services")
	p.macro("Sh SYNOPSIS")
	for _, form := range []string{"Op Cm run", "Cm check", "Cm explain"} {
		p.macro("Nm")
		p.macro(form)
		p.macro("Fl f Ar file ...")
		p.macro("Op Ar flags")
	}
	p.macro("Sh DESCRIPTION")
	p.macro("Nm")
	p.text(`reads an HAProxy configuration, finds the tasks of Docker Swarm services by DNS, and balances over them on two paths:
an eBPF program in the kernel for plain TCP, and event loops in userspace for HTTP and all that the kernel cannot do.
Without privileges everything works in userspace.`)
	p.macro("Ss Commands")
	p.list(r.Commands)
	p.macro("Ss Flags of HAProxy")
	p.list(r.HAProxyFlags)
	p.macro("Ss Flags of waggle")
	p.list(r.OwnFlags)
	p.macro("Sh ENVIRONMENT")
	p.text("Each flag of waggle that takes a value can be given as an environment variable; the command line wins.")
	var variables []cli.Entry
	for _, f := range r.OwnFlags {
		if f.Env != "" {
			variables = append(variables, cli.Entry{Name: f.Env, Doc: "as " + f.Name})
		}
	}
	p.list(append(variables, cli.Entry{Name: "NO_COLOR", Doc: "if set, nothing is coloured, also on a terminal"}))
	p.macro("Sh EXIT STATUS")
	p.list([]cli.Entry{
		{Name: "0", Doc: "it ended as asked"},
		{Name: "1", Doc: "the configuration is bad, or it could not start"},
		{Name: "2", Doc: "the command line is wrong"},
	})
	p.macro("Sh JSON")
	p.text(`"check --json" prints one object to standard output, and exits as without it:`)
	p.list(r.CheckFields)
	p.text(`"explain --json" prints a list with the frontend, its path, backend and reasons; "stats --json" what "show stat json" of HAProxy's Runtime API answers;
"flows", "trace", "top" and "version" print objects whose fields have the names of the columns that they show.`)
	p.macro("Sh SIGNALS")
	p.list([]cli.Entry{
		{Name: "SIGUSR1", Doc: "soft stop: no new connections, those that are open end by themselves"},
		{Name: "SIGTERM, SIGINT", Doc: "stop"},
		{Name: "SIGUSR2, SIGHUP", Doc: "reload the configuration"},
	})
	p.macro("Sh EXAMPLES")
	p.macro("Bd -literal")
	for _, c := range r.Commands {
		for _, e := range c.Examples {
			p.WriteString(escape(e) + "\n")
		}
	}
	p.macro("Ed")
	p.macro("Sh SEE ALSO")
	p.macro("Xr waggle.cfg 5")
	return p.String()
}

func (p *page) list(entries []cli.Entry) {
	p.macro("Bl -tag -width Ds")
	for _, e := range entries {
		p.item(e.Name+e.Arg, e.Doc)
	}
	p.macro("El")
}

func configPage() string {
	p := header("waggle.cfg", 5, "the configuration language of HAProxy as waggle reads it")
	p.macro("Sh DESCRIPTION")
	p.text(`waggle reads HAProxy's configuration language, of which this page lists each keyword that it honours or can ignore.
What a keyword does is what HAProxy's manual says.
A keyword of HAProxy that is not listed is an error that says so.`)
	for _, g := range config.Keywords() {
		p.macro("Sh", quote(strings.ToUpper(g.Title)))
		p.macro("Bl -tag -width Ds")
		for _, k := range g.Keywords {
			switch k.Status {
			case config.Supported:
				p.item(strings.TrimSpace(k.Name+" "+k.Args), cmp.Or(k.Doc, "as in HAProxy"))
			case config.Ignored:
				p.item(k.Name, "Accepted, and ignored: "+k.Doc)
			}
		}
		p.macro("El")
	}
	p.macro("Sh SEE ALSO")
	p.macro("Xr waggle 1")
	return p.String()
}
