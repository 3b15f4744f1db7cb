package agent

import (
	"os"
	"runtime"
	"runtime/debug"
	"time"
)

// HAProxyVersion is the version whose configuration and interfaces waggle claims.
const HAProxyVersion = "3.2"

// version is set by the linker: -X waggle/pkg/agent.version=1.2.3.
var version = ""

// Version says what was built.
type Version struct {
	Version  string `json:"version"`
	Revision string `json:"revision"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	// Released is the date of the sources, or where the build has not recorded it that of the program's file. Tools
	// such as hatop refuse a balancer that gives no date.
	Released time.Time `json:"released"`
}

// BuildVersion returns what the linker and the Go tool have recorded in the binary.
func BuildVersion() Version {
	v := Version{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if v.Version == "" {
		v.Version = "dev"
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Revision = s.Value
			case "vcs.time":
				v.Released, _ = time.Parse(time.RFC3339, s.Value) // of a form that is not known nothing is taken
			}
		}
	}
	if v.Released.IsZero() {
		v.Released = programDate()
	}
	return v
}

// programDate is the zero time if the program's file is gone.
func programDate() time.Time {
	path, err := os.Executable()
	if err != nil {
		return time.Time{}
	}
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}
