package cli

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"waggle/pkg/agent"
	"waggle/pkg/config"
)

// dumpCommands are what the running waggle is asked for a support bundle. None tells the environment, which
// may hold secrets.
func dumpCommands() []string {
	return []string{
		"show version", "show info", "show stat", "show stat typed", "show servers state", "show servers conn", "show resolvers",
		"show backend", "show startup-logs", "show cli sockets", "show errors", "show flows max 1000", "help",
	}
}

// sysdumpCommand writes a support bundle, a gzipped tar, to standard output: what the running waggle says of
// itself, and the configuration files that -f names, without the secrets in them.
func sysdumpCommand(ctx context.Context, e Env, args []string) int {
	s, err := parseFlags(e, args)
	if err != nil {
		return failUsage(e, err)
	}
	if f, ok := e.Stdout.(*os.File); ok && isTerminal(f) {
		return failUsage(e, usageError{"the bundle is binary: waggle sysdump -f haproxy.cfg > waggle.tar.gz"})
	}
	files, err := dump(ctx, s)
	if err == nil {
		err = writeBundle(e.Stdout, files, time.Now())
	}
	if err != nil {
		fmt.Fprintf(e.Stderr, "waggle: %v\n", err)
		return ExitFailed
	}
	return ExitOK
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && info.Mode()&os.ModeDevice != 0 && f.Name() != os.DevNull
}

// dumped is one file of a bundle.
type dumped struct {
	name    string
	content []byte
}

// dump collects the files. What the running waggle does not answer is told in its place: a bundle is wanted when things are
// wrong. A file that is named and cannot be read is a mistake of whoever asks.
func dump(ctx context.Context, s *settings) ([]dumped, error) {
	version, err := json.MarshalIndent(agent.BuildVersion(), "", "  ")
	if err != nil {
		return nil, err
	}
	files := []dumped{{"version.json", append(version, '\n')}}
	for i, command := range dumpCommands() {
		var answer bytes.Buffer
		if err := askOnce(ctx, s.healthSocket, command, &answer); err != nil {
			fmt.Fprintf(&answer, "not answered: %v\n", err)
		}
		name := fmt.Sprintf("runtime/%02d-%s.txt", i+1, regexp.MustCompile(`\W+`).ReplaceAllString(command, "-"))
		files = append(files, dumped{name, withoutSecrets(answer.Bytes())}) // startup logs quote the configuration
	}
	configuration, err := dumpConfig(s.files)
	return append(files, configuration...), err
}

// dumpConfig reads the configuration files that paths mean.
func dumpConfig(paths []string) (files []dumped, err error) {
	for _, path := range paths {
		names, err := config.Files(path)
		if err != nil {
			return nil, fmt.Errorf("read configuration: %w", err)
		}
		for _, name := range names {
			content, err := os.ReadFile(name)
			if err != nil {
				return nil, fmt.Errorf("read configuration: %w", err)
			}
			files = append(files, dumped{fmt.Sprintf("config/%d-%s", len(files)+1, filepath.Base(name)), withoutSecrets(content)})
		}
	}
	return files, nil
}

// dumpPatience bounds each question: a waggle that hangs is what a bundle may be about.
const dumpPatience = 5 * time.Second

func askOnce(ctx context.Context, socket, command string, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, dumpPatience)
	defer cancel()
	return agent.Ask(ctx, socket, command, out)
}

// withoutSecrets blanks what a configuration must not give away: passwords, keys, credentials in headers.
func withoutSecrets(content []byte) []byte {
	const blank = "${1}(removed)"
	const value = `(?:"(?:[^"\\]|\\.)*"|'[^']*'|\S+)`
	for _, pattern := range []string{
		`(?im)^(\s*stats\s+auth\s+[^:\s]*:).*$`,
		`(?im)^(\s*(?:pre)?setenv\s+\S+\s+).*$`,
		`(?i)(\b(?:insecure-)?password\s+)` + value,
		`(?i)(\b(?:dynamic-cookie-key|hash-key|ticket-keys?|secret|token|api[-_]?key|passw(?:or)?d|pwd)\b["']?[\s=:]+)` + value,
		`(?i)(\b(?:agent-send|body)\s+)` + value,
		`(?im)(\btcp-check\s+send(?:-\w+)*\s+).*$`,
		// What a condition compares with behind its fetch; the rest of the line goes, too.
		`(?im)(\b(?:f?hdr|url_param|urlp|body_param)(?:_\w+)?\(["']?[\w-]*(?:auth|key|token|secret|pass|pwd)[^)]*\)).*$`,
		`(?im)(\b(?:http_auth_bearer(?:\([^)]*\))?|s?cook(?:_\w+)?\([^)]*\))).*$`,
		`(?im)((?:authorization|cookie|x-api-key)\b["']?:?\s+).*$(?:\n +[0-9]{5}\+ .*$)*`, // a line of show errors may go on
		`(?i)(\w+://[^/\s:@]*:)[^@\s]+@`,
		`(?i)(\bbasic\s+)[a-z0-9+/=]{6,}`,
	} {
		replacement := blank
		if pattern[len(pattern)-1] == '@' {
			replacement += "@"
		}
		content = regexp.MustCompile(pattern).ReplaceAll(content, []byte(replacement))
	}
	return content
}

func writeBundle(w io.Writer, files []dumped, now time.Time) error {
	compressed := gzip.NewWriter(w)
	archive := tar.NewWriter(compressed)
	for _, f := range files {
		header := &tar.Header{Name: "waggle-sysdump/" + f.name, Mode: 0o600, Size: int64(len(f.content)), ModTime: now}
		if err := archive.WriteHeader(header); err != nil {
			return fmt.Errorf("write %s: %w", f.name, err)
		}
		if _, err := archive.Write(f.content); err != nil {
			return fmt.Errorf("write %s: %w", f.name, err)
		}
	}
	return errors.Join(archive.Close(), compressed.Close())
}
