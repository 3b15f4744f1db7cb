// Command soak drives a real Docker Swarm through rolling updates, scaling, killed and unhealthy tasks under steady
// load through waggle and HAProxy, and counts what fails. It needs root, Debian's docker.io and haproxy.
//
//	make swarm-soak                                       everything, about half an hour
//	make swarm-soak ARGS='-docs docs'                     and write docs/rolling-updates.md
//	go run ./test/swarm/soak -only calm,update -rounds 1  a part, for a look
//
// docs/rolling-updates.md says what it does and what it found.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"waggle/test/swarm/drive"
	"waggle/test/swarm/engine"
)

func main() {
	engine.Main() // becomes the engine, if this process was started for that
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		stop()
		os.Exit(1) //nolint:gocritic // nothing else is deferred
	}
}

// options are the flags.
type options struct {
	rounds             int
	only, contenders   string
	tasks, orders      string
	json, from, docs   string
	logs, root         string
	appendTo, failSoon bool
}

func parse(args []string, stderr io.Writer) (o options, err error) {
	f := flag.NewFlagSet("soak", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.IntVar(&o.rounds, "rounds", 5, "how often each kind of update is made; the others at most 3 times")
	f.StringVar(&o.only, "only", "", "only acts whose names begin with one of these, separated by commas: calm,update,scale,kill,unhealthy")
	f.StringVar(&o.tasks, "tasks", "", "only tasks that behave so, separated by commas: careless,draining,healthy")
	f.StringVar(&o.orders, "orders", "", "only updates in this order, separated by commas: stop-first,start-first")
	f.StringVar(&o.contenders, "contenders", "", "only these, separated by commas")
	f.StringVar(&o.json, "json", "", "write raw results to this `file`, a JSON object on each line")
	f.BoolVar(&o.appendTo, "append", false, "add to the file of -json")
	f.StringVar(&o.from, "from", "", "run nothing: show the raw results in this `file`")
	f.StringVar(&o.docs, "docs", "", "write the tables into rolling-updates.md of this `directory`, and the raw results beside it")
	f.StringVar(&o.logs, "logs", "", "write what the contenders say into this `directory`")
	f.StringVar(&o.root, "root", ".", "the repository's `directory`")
	f.BoolVar(&o.failSoon, "fail-soon", false, "stop at the first missed goal")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected %q", f.Arg(0))
	}
	if o.rounds < 1 {
		return o, errors.New("rounds are at least 1")
	}
	return o, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	var report drive.Report
	if o.from != "" {
		if report, err = drive.ReadReport(o.from); err != nil {
			return err
		}
	} else if report, err = play(ctx, o, stderr); err != nil {
		return err
	}
	if err := report.WriteTables(stdout); err != nil {
		return err
	}
	if o.docs != "" {
		if err := report.WriteDocs(o.docs); err != nil {
			return err
		}
	}
	if misses := report.Misses(); len(misses) > 0 {
		return fmt.Errorf("goals missed:\n%s", strings.Join(misses, "\n"))
	}
	return nil
}

// play runs the acts that are wanted.
func play(ctx context.Context, o options, progress io.Writer) (report drive.Report, err error) {
	contenders := slices.DeleteFunc(drive.Contenders(), func(c drive.Contender) bool { return !wanted(o.contenders, c.Name) })
	acts := slices.DeleteFunc(drive.Acts(o.rounds), func(a drive.Act) bool {
		return !wanted(o.tasks, a.Behaviour.Name) || a.Order != "" && !wanted(o.orders, string(a.Order)) ||
			!slices.ContainsFunc(strings.Split(o.only, ","), func(prefix string) bool { return strings.HasPrefix(a.Name, prefix) })
	})
	if len(contenders) == 0 || len(acts) == 0 {
		return report, errors.New("nothing is left to do")
	}
	stage, err := drive.Open(ctx, o.root, contenders, acts[0].Behaviour)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, stage.Close()) }()
	report.Setup = stage.Setup(ctx)
	out, err := drive.CreateReport(o.json, o.appendTo, report.Setup)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	fmt.Fprintf(progress, "soak: %d contenders, %d acts\n", len(contenders), len(acts))
	err = stage.Run(ctx, acts, func(r drive.Result) error {
		report.Results = append(report.Results, r)
		fmt.Fprintf(progress, "%s %s\n", time.Now().Format(time.TimeOnly), r.Summary())
		misses := drive.Misses(r, contenders)
		for _, miss := range misses {
			fmt.Fprintln(progress, "  MISSED:", miss)
		}
		if len(misses) > 0 && o.failSoon {
			return errors.New("a goal was missed")
		}
		return out.Add(r)
	})
	if o.logs != "" {
		for _, c := range contenders {
			err = errors.Join(err, stage.Logs(context.WithoutCancel(ctx), c.Name, o.logs+"/"+c.Name+".log"))
		}
	}
	return report, err
}

// wanted says whether a name is in a list, or the list is empty.
func wanted(list, name string) bool {
	return list == "" || slices.Contains(strings.Split(list, ","), name)
}
