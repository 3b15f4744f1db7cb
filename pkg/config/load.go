package config

import (
	"os"
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
	files := make([]File, 0, len(paths))
	for _, path := range paths {
		content, err := opts.ReadFile(path)
		if err != nil {
			return nil, nil, &Errors{List: Diagnostics{{Severity: Alert, Pos: Pos{File: path}, Text: err.Error()}}}
		}
		files = append(files, File{Name: path, Content: content})
	}
	return ParseFiles(files, opts)
}

// Parse reads one configuration file from memory; see Load.
func Parse(name string, content []byte, opts LoadOptions) (*Config, Diagnostics, error) {
	return ParseFiles([]File{{Name: name, Content: content}}, opts)
}

// ParseFiles reads several configuration files from memory as one; see Load.
func ParseFiles(files []File, opts LoadOptions) (*Config, Diagnostics, error) {
	return nil, nil, &Errors{List: Diagnostics{{Severity: Alert, Text: "the parser is not in this revision yet"}}}
}

func (o LoadOptions) withDefaults() LoadOptions {
	if o.Getenv == nil {
		o.Getenv = os.LookupEnv
	}
	if o.ReadFile == nil {
		o.ReadFile = os.ReadFile
	}
	return o
}
