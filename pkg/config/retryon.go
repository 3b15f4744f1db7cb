package config

import (
	"maps"
	"slices"
	"strconv"
)

// RetryOn is what `retry-on` names: after which failures a request is sent again. The zero value is none.
type RetryOn uint32

// The kinds of failure. Statuses follow them, in the order of retryStatuses.
const (
	RetryConnFailure RetryOn = 1 << iota
	RetryEmptyResponse
	RetryJunkResponse
	RetryResponseTimeout
	retryStatus0
)

// retryStatuses are the statuses that `retry-on` may name (HAProxy, section 4.2, retry-on).
var retryStatuses = [...]int{401, 403, 404, 408, 421, 425, 429, 500, 501, 502, 503, 504}

// RetryStatus is the kind of a response with this status; 0 for one that cannot be named.
func RetryStatus(status int) RetryOn {
	for i, s := range retryStatuses {
		if s == status {
			return retryStatus0 << i
		}
	}
	return 0
}

// retryCauses are the words of `retry-on` beside statuses.
var retryCauses = map[string]RetryOn{
	"conn-failure": RetryConnFailure, "empty-response": RetryEmptyResponse, "junk-response": RetryJunkResponse,
	"response-timeout": RetryResponseTimeout,
	"0rtt-rejected":    0, // no TLS early data is ever sent to a server, so none is rejected
	"all-retryable-errors": RetryConnFailure | RetryEmptyResponse | RetryJunkResponse | RetryResponseTimeout |
		RetryStatus(500) | RetryStatus(502) | RetryStatus(503) | RetryStatus(504),
}

// retryOn reads the causes; `none` stands alone.
func (s *statement) retryOn() {
	if len(s.args) == 0 {
		s.errorf(-1, "'retry-on' expects 'none' or causes such as conn-failure")
		return
	}
	var on RetryOn
	for i, w := range s.args {
		if w.text == "none" {
			if len(s.args) > 1 {
				s.errorf(i, "'retry-on' : 'none' is not allowed beside other causes")
				return
			}
			break
		}
		cause, known := retryCauses[w.text]
		if n, err := strconv.Atoi(w.text); err == nil {
			cause = RetryStatus(n)
			known = cause != 0
		}
		if !known {
			names := slices.Sorted(maps.Keys(retryCauses))
			s.errorf(i, "'retry-on' : unknown cause or status that is not retried '%s'%s", w.text, didYouMean(w.text, names))
			return
		}
		on |= cause
	}
	s.p.proxy.RetryOn = on
}
