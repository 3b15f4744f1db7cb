package datapath

// UnavailableError is why the kernel path cannot work here, with what the operator can do about it.
type UnavailableError struct {
	// Problem and Remedy are each one sentence, without a full stop.
	Problem, Remedy string
	// Err is the cause as the kernel gave it.
	Err error
}

func (e *UnavailableError) Error() string {
	s := "kernel path unavailable: " + e.Problem
	if e.Remedy != "" {
		s += " (" + e.Remedy + ")"
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *UnavailableError) Unwrap() error { return e.Err }
