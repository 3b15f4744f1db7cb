package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// LoadOptions are the ways by which reading a configuration reaches the world. The zero value uses
// the process's own environment and file system.
type LoadOptions struct {
	// Getenv looks an environment variable up; nil is os.LookupEnv.
	Getenv func(name string) (string, bool)
	// ReadFile reads a configuration file or a file of patterns; nil is os.ReadFile.
	ReadFile func(name string) ([]byte, error)
	// ReadDir gives the names in a directory, and false if name is not a directory; nil asks the
	// file system.
	ReadDir func(name string) (names []string, isDir bool, err error)
	// Hostname gives the host's name; nil asks the system.
	Hostname func() string
	// LocalPeer is the name of this process among peers; "" leaves it to the configuration.
	LocalPeer string
}

// File is a configuration file in memory.
type File struct {
	Name    string
	Content []byte
}

// Load reads files, or directories (their *.cfg files in C order), one after the other as one
// configuration. The diagnostics hold notices and warnings, also beside an error; the error, if any,
// is an *Errors with every located alert.
func Load(paths []string, opts LoadOptions) (*Config, Diagnostics, error) {
	opts = opts.withDefaults()
	var files []File
	var bad Diagnostics
	fail := func(path string, err error) {
		bad = append(bad, Diagnostic{Severity: Alert, Pos: Pos{File: path}, Text: "cannot read: " + err.Error()})
	}
	for _, path := range paths {
		names, err := opts.expand(path)
		if err != nil {
			fail(path, err)
		}
		for _, name := range names {
			content, err := opts.ReadFile(name)
			if err != nil {
				fail(name, err)
				continue
			}
			files = append(files, File{Name: name, Content: content})
		}
	}
	if len(bad) > 0 {
		return nil, nil, &Errors{List: bad}
	}
	return ParseFiles(files, opts)
}

// Parse reads one configuration file from memory; see Load.
func Parse(name string, content []byte, opts LoadOptions) (*Config, Diagnostics, error) {
	return ParseFiles([]File{{Name: name, Content: content}}, opts)
}

// ParseFiles reads several configuration files from memory as one; see Load.
func ParseFiles(files []File, opts LoadOptions) (*Config, Diagnostics, error) {
	p := newParser(opts)
	for _, f := range files {
		p.env.files = append(p.env.files, f.Name)
	}
	for _, f := range files {
		p.file(f)
	}
	cfg := p.finish()
	if len(p.errors) > 0 {
		return nil, p.remarks, &Errors{List: p.errors, Truncated: p.truncated}
	}
	return cfg, p.remarks, nil
}

// Files gives the files that a path means to [Load]: itself, or those of a directory.
func Files(path string) ([]string, error) { return LoadOptions{}.withDefaults().expand(path) }

// expand gives the files that a path means: itself, or the *.cfg files of a directory in C order,
// without hidden ones.
func (o LoadOptions) expand(path string) ([]string, error) {
	names, isDir, err := o.ReadDir(path)
	if err != nil || !isDir {
		return []string{path}, err
	}
	slices.Sort(names)
	var files []string
	for _, n := range names {
		if strings.HasSuffix(n, ".cfg") && !strings.HasPrefix(n, ".") {
			files = append(files, filepath.Join(path, n))
		}
	}
	return files, nil
}

func (o LoadOptions) withDefaults() LoadOptions {
	if o.Getenv == nil {
		o.Getenv = os.LookupEnv
	}
	if o.ReadFile == nil {
		o.ReadFile = os.ReadFile
	}
	if o.ReadDir == nil {
		o.ReadDir = readDir
	}
	if o.Hostname == nil {
		o.Hostname = func() string { name, _ := os.Hostname(); return name }
	}
	return o
}

// readDir asks the file system; a path that cannot be looked at is left to ReadFile, whose error says
// why.
func readDir(path string) (names []string, isDir bool, err error) {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return nil, false, nil
	}
	entries, err := os.ReadDir(path)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, true, err
}
