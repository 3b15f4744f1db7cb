// Package guest is what runs inside the virtual machine of test/kernel: the first process, which starts the
// test binaries it finds in the plan and reports what they print, and the modprobe that the kernel calls.
package guest

// PlanFile is where the plan is in the initial file system, as JSON.
const PlanFile = "/plan.json"

// Report is the device that reports go to. The kernel's console is another one, so that its messages and the results
// never meet on a line.
const Report = "/dev/ttyS1"

// Plan is what the machine has to do before it turns itself off.
type Plan struct {
	Jobs []Job
}

// Job is one program to run to its end.
type Job struct {
	Name string
	Dir  string   // working directory; it exists
	Argv []string // Argv[0] is the program's path
	Env  []string // on top of PATH, HOME and TMPDIR
}

// Event is one line of the report, a JSON object. Only the fields that say something are set.
type Event struct {
	Job string `json:",omitempty"`
	// Line is something that the job printed.
	Line string `json:",omitempty"`
	// Ended tells that the job is over, after Seconds, with this exit status; -1 if it could not be started or was
	// ended by a signal, and Problem says why.
	Ended   bool    `json:",omitempty"`
	Exit    int     `json:",omitempty"`
	Seconds float64 `json:",omitempty"`
	Problem string  `json:",omitempty"`
	// Kernel is the kernel's release and comes first.
	Kernel string `json:",omitempty"`
	// Done comes last, when all jobs have been run. A report without it was cut short.
	Done bool `json:",omitempty"`
}
