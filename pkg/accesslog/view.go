package accesslog

import (
	"net/netip"

	"waggle/pkg/sample"
)

// view is an entry as expressions of a format see it when the path that made the entry offers nothing more.
type view struct {
	sample.Nothing
	e *Entry
}

// Src implements sample.Subject.
func (v *view) Src() netip.AddrPort { return v.e.Client }

// Dst implements sample.Subject.
func (v *view) Dst() netip.AddrPort { return v.e.Dest }

// FrontendName implements sample.Subject.
func (v *view) FrontendName() string { return v.e.Frontend }

// BackendName implements sample.Subject.
func (v *view) BackendName() string { return v.e.Backend }

// ServerName implements sample.Subject.
func (v *view) ServerName() string { return v.e.Server }

// Status implements sample.Subject.
func (v *view) Status() int { return v.e.Status }

// TLS implements sample.Subject.
func (v *view) TLS() bool { return v.e.TLS }

// ConnError implements sample.Subject.
func (v *view) ConnError() sample.ConnError { return v.e.Fault }

// UniqueID implements sample.Subject.
func (v *view) UniqueID() []byte { return v.e.UniqueID }

// Captured implements sample.Subject.
func (v *view) Captured(response bool, i int) []byte {
	values := v.e.RequestHeaders
	if response {
		values = v.e.ResponseHeaders
	}
	if i >= len(values) {
		return nil
	}
	return values[i]
}
