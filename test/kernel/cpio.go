package kernel

import (
	"fmt"
	"io"
	"io/fs"
)

// archive writes an initial file system in the format that Linux unpacks at boot ("newc",
// Documentation/driver-api/early-userspace/buffer-format.rst). Directories come before what is in them. After an
// error all calls return it.
type archive struct {
	w     io.Writer
	inode uint32
	at    int64
	err   error
}

// Kinds of files, as in stat(2).
const (
	kindDir  = 0o040000
	kindFile = 0o100000
	kindLink = 0o120000
)

func (a *archive) dir(name string) error { return a.entry(name, kindDir|0o755, nil) }

func (a *archive) file(name string, mode fs.FileMode, content []byte) error {
	return a.entry(name, kindFile|uint32(mode.Perm()), content)
}

func (a *archive) symlink(name, target string) error {
	return a.entry(name, kindLink|0o777, []byte(target))
}

// close writes the trailer. It does not close the writer.
func (a *archive) close() error { return a.entry("TRAILER!!!", 0, nil) }

// entry writes a header of 13 numbers and a checksum that is unused, the name, and the content, each padded to 4 bytes.
func (a *archive) entry(name string, mode uint32, content []byte) error {
	a.inode++
	links := 1
	if mode&kindDir != 0 && mode&kindFile != kindFile {
		links = 2
	}
	a.printf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		a.inode, mode, 0, 0, links, 0, len(content), 0, 0, 0, 0, len(name)+1, 0, name)
	a.pad()
	a.write(content)
	a.pad()
	return a.err
}

func (a *archive) printf(format string, args ...any) { a.write(fmt.Appendf(nil, format, args...)) }

func (a *archive) pad() { a.write(make([]byte, -a.at&3)) }

func (a *archive) write(b []byte) {
	if a.err != nil {
		return
	}
	n, err := a.w.Write(b)
	a.at += int64(n)
	a.err = err
}
