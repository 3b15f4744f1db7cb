package check

import (
	"waggle/pkg/pool"
	"waggle/pkg/sample"
)

// subject is what formats of a check may ask about: its server, and what is true everywhere.
type subject struct {
	sample.Nothing
	server *pool.Server
}

func (s subject) BackendName() string { return s.server.Backend.Name }
func (s subject) ServerName() string  { return s.server.Name }
