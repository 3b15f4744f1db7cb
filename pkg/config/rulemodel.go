package config

import (
	"regexp"
	"time"

	"waggle/pkg/sample"
)

// UseBackend is one use_backend line.
type UseBackend struct {
	Pos     Pos
	Backend string
	Format  *sample.Format // makes the backend's name for each request, instead of Backend; nil = a fixed name
	Cond    *sample.Cond   // nil = always
}

// TCPRule is one rule of tcp-request connection, session or content.
type TCPRule struct {
	Pos    Pos
	Action TCPAction
	Cond   *sample.Cond   // nil = always
	Var    sample.VarName // set-var, unset-var
	Expr   *sample.Expr   // set-var, track, priorities
	Table  string         // track: "" is the proxy's own; TCPIncGPC: the counter's name
	Hops   int            // silent-drop, as in HTTPRule
	// Counter is what sc-inc-gpc… and sc-set-gpt0 change: the data Table, or the tag, to Number or Expr.
	Counter int
	Number  int64
}

// TCPAction is what such a rule does.
type TCPAction uint8

// The actions. Accept and reject end the evaluation.
const (
	TCPAccept TCPAction = iota
	TCPReject
	TCPSetVar
	TCPUnsetVar
	TCPExpectProxy // makes a PROXY header necessary
	TCPTrack0
	TCPTrack1
	TCPTrack2
	TCPSilentDrop
	TCPIncGPC
	TCPSetGPT
	TCPSetPriorityClass // by Expr
	TCPSetPriorityOffset
)

// Capture is a slot for a part of a message.
type Capture struct {
	Header string // whose last value is kept; "" = a rule fills the slot
	Length int    // bytes that are kept at most
}

// HTTPRule is one http-request, http-response or http-after-response rule.
type HTTPRule struct {
	Pos    Pos
	Action HTTPAction
	Cond   *sample.Cond // nil = always

	Status int    // deny, return, redirect, set-status
	Target string // header name, fixed destination of a redirect, reason of a status, level of the log
	Value  string // fixed text
	// Format makes the text for each message, in place of Value, or of Target in a redirect; nil = the fixed one.
	Format *sample.Format

	RedirectKind           RedirectKind
	DropQuery, AppendSlash bool
	IgnoreEmpty            bool           // a redirect to nowhere is none
	SetCookie              string         // a Set-Cookie header's value
	Match                  NameMatch      // how del-header compares names
	Regexp                 *regexp.Regexp // replace-…, and del-header where Match says so
	Var                    sample.VarName
	Expr                   *sample.Expr // set-var, capture
	Slot                   int          // capture
	Time                   time.Duration
	Bytes                  int64  // wait-for-body: that many are enough; 0 = all
	Hops                   int    // silent-drop: how far RST is sent; 0 = there is none
	Reply                  *Reply // deny and return; nil = the error page of Status
	// File and Key are what add-acl, del-acl, set-map and del-map change: which element of which file.
	File *sample.Reference
	Key  *sample.Format
}

// Reply is a response of our own.
type Reply struct {
	Status      int
	ContentType string
	Body        string
	Format      *sample.Format // makes the body, in place of Body; nil = the fixed one
	Headers     []ReplyHeader
	ErrorPage   bool   // the proxy's page for the status is the body
	Page        []byte // a whole response, head included, in place of all else
}

// ReplyHeader is one header of a reply.
type ReplyHeader struct {
	Name  string
	Value *sample.Format
}

// NameMatch is how names of headers are compared; all of them without case.
type NameMatch uint8

// The comparisons.
const (
	NameIs NameMatch = iota
	NameBegins
	NameEnds
	NameContains
	NameMatches // a regular expression, which has to ask for -i itself
)

// HTTPAction is what a rule does.
type HTTPAction uint8

// The actions that are supported so far.
const (
	ActionAllow HTTPAction = iota
	ActionDeny
	ActionPrometheus // use-service prometheus-exporter
	ActionRedirect
	ActionSetHeader
	ActionAddHeader
	ActionDelHeader
	ActionReplaceHeader // of each line
	ActionReplaceValue  // of each value between commas
	ActionSetMethod
	ActionSetURI
	ActionSetPath
	ActionSetPathQuery
	ActionSetQuery
	ActionReplaceURI
	ActionReplacePath
	ActionReplacePathQuery
	ActionReturn
	ActionSetVar
	ActionSetVarFormat
	ActionUnsetVar
	ActionCapture
	ActionSetLogLevel
	ActionSetStatus
	ActionDisableRetry
	ActionTarpit
	ActionReject
	ActionSetSrc
	ActionAuth   // Target is the realm; "" = the proxy's name
	ActionTrack0 // Target is the table, Expr the key
	ActionTrack1
	ActionTrack2
	ActionWaitForBody // for Time
	ActionSilentDrop
	ActionPutPattern  // add-acl; set-map with Value or Format
	ActionDropPattern // del-acl, del-map
	ActionSetTimeout  // Target is server or tunnel; Time, or Expr in milliseconds
	ActionIncGPC      // of what counter Slot tracks; Target is the data
	ActionSetGPT      // of what counter Slot tracks, to Bytes or Expr
	ActionSetPriorityClass
	ActionSetPriorityOffset
)

// RedirectKind is the form of a redirect.
type RedirectKind uint8

// The forms.
const (
	RedirectLocation RedirectKind = iota
	RedirectPrefix
	RedirectScheme
)
