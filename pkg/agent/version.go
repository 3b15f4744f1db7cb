package agent

import (
	"runtime"
	"runtime/debug"
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
}

// BuildVersion returns what the linker and the Go tool have recorded in the binary.
func BuildVersion() Version {
	v := Version{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if v.Version == "" {
		v.Version = "dev"
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v.Revision = s.Value
		}
	}
	return v
}
