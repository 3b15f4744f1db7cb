package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"waggle/pkg/agent"
)

// topInterval is how often `waggle top` looks, unless `every` says otherwise.
const topInterval = time.Second

// topCommand shows what the running waggle does now: on a terminal until Ctrl-C, elsewhere once. Rates are
// of the time between two looks.
func topCommand(ctx context.Context, e Env, args []string) int {
	rounds, every, flags, err := topArgs(args)
	if err != nil {
		return failUsage(e, err)
	}
	s, err := parseFlags(e, flags)
	if err != nil {
		return failUsage(e, err)
	}
	show := newTopScreen(e, s.json)
	if rounds == 0 && !show.terminal {
		rounds = 1
	}
	defer show.close()
	ctx, stop := signal.NotifyContext(ctx, unix.SIGINT, unix.SIGTERM, unix.SIGHUP) // the terminal must be given back
	defer stop()
	return top(ctx, e, show, rounds, every, func(ctx context.Context) (*topSample, error) { return takeTopSample(ctx, s.healthSocket) })
}

// topArgs reads the words `rounds N` (0 = until interrupted) and `every SECONDS`; what has a dash is a flag.
func topArgs(args []string) (rounds int, every time.Duration, flags []string, err error) {
	every = topInterval
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		if strings.HasPrefix(word, "-") {
			flags = append(flags, word)
			continue
		}
		if word != "rounds" && word != "every" {
			return 0, 0, nil, usageError{fmt.Sprintf("top: unknown word %q%s", word, didYouMean(word, []string{"rounds", "every"}))}
		}
		if len(args) == 0 {
			return 0, 0, nil, usageError{fmt.Sprintf("top: %q expects a number", word)}
		}
		n, err := strconv.ParseUint(args[0], 10, 16)
		if err != nil || (word == "every" && n == 0) {
			return 0, 0, nil, usageError{fmt.Sprintf("top: %q is no number for %q", args[0], word)}
		}
		args = args[1:]
		if word == "rounds" {
			rounds = int(n)
		} else {
			every = time.Duration(n) * time.Second
		}
	}
	return rounds, every, flags, nil
}

// top looks again and again and shows the difference of each two looks.
func top(ctx context.Context, e Env, show *topScreen, rounds int, every time.Duration, look func(context.Context) (*topSample, error)) int {
	before, err := look(ctx)
	for round := 0; err == nil && (rounds == 0 || round < rounds); round++ {
		select {
		case <-ctx.Done():
			return ExitOK
		case <-time.After(every):
		}
		var now *topSample
		if now, err = look(ctx); err != nil {
			break
		}
		if err = show.frame(compareTop(before, now)); err != nil {
			break
		}
		before = now
	}
	if err != nil && ctx.Err() == nil {
		show.close()
		fmt.Fprintf(e.Stderr, "waggle: %v\n", err)
		return ExitFailed
	}
	return ExitOK
}

// takeTopSample asks the running waggle.
func takeTopSample(ctx context.Context, socket string) (*topSample, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var stat, path bytes.Buffer
	if err := agent.Ask(ctx, socket, "show stat", &stat); err != nil {
		return nil, err
	}
	if err := agent.Ask(ctx, socket, "show datapath json", &path); err != nil {
		return nil, err
	}
	return parseTopSample(time.Now(), &stat, &path)
}

// topScreen is where frames go.
type topScreen struct {
	out            io.Writer
	fd             int // of the terminal
	terminal, json bool
	colours, open  bool
}

// newTopScreen looks at what standard output is.
func newTopScreen(e Env, asJSON bool) *topScreen {
	s := &topScreen{out: e.Stdout, json: asJSON}
	if f, ok := e.Stdout.(*os.File); ok && !asJSON {
		if _, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err == nil {
			s.fd, s.terminal = int(f.Fd()), true
			_, none := e.Getenv("NO_COLOR") // https://no-color.org
			s.colours = !none
		}
	}
	return s
}

// Control sequences of ECMA-48, and xterm's for the alternate screen.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	toTop       = "\x1b[H"
	clearLine   = "\x1b[K"
	clearBelow  = "\x1b[J"
)

// frame shows one frame: on a terminal in place of the one before.
func (s *topScreen) frame(f *topFrame) error {
	if s.json {
		return json.NewEncoder(s.out).Encode(f)
	}
	if !s.terminal {
		_, err := io.WriteString(s.out, strings.Join(f.lines(false, 0, 0), "\n")+"\n")
		return err
	}
	var b strings.Builder
	if !s.open {
		b.WriteString(enterScreen)
		s.open = true
	}
	b.WriteString(toTop)
	width, height := s.size()
	lines := f.lines(s.colours, width, height)
	lines = lines[:min(len(lines), height)]
	for i, line := range lines {
		b.WriteString(cutVisible(line, width) + clearLine)
		if i < len(lines)-1 {
			b.WriteString("\r\n")
		}
	}
	b.WriteString(clearBelow)
	_, err := io.WriteString(s.out, b.String())
	return err
}

func (s *topScreen) size() (width, height int) {
	if ws, err := unix.IoctlGetWinsize(s.fd, unix.TIOCGWINSZ); err == nil && ws.Col > 0 && ws.Row > 0 {
		return int(ws.Col), int(ws.Row)
	}
	return 80, 24
}

// close gives the terminal back as it was. It may be called twice.
func (s *topScreen) close() {
	if s.open {
		_, _ = io.WriteString(s.out, leaveScreen) // a terminal that is gone needs none
		s.open = false
	}
}

// cutVisible cuts a line after so many characters; control sequences take no room and stay.
func cutVisible(line string, width int) string {
	var b strings.Builder
	shown, inside := 0, false
	for _, r := range line {
		switch {
		case r == '\x1b':
			inside = true
		case inside:
			inside = r != 'm'
		case shown == width:
			continue
		default:
			shown++
		}
		b.WriteRune(r)
	}
	return b.String()
}
