// Package trouble tells the news of an error that lasts from its repetitions, for a log that says it once. Pure.
package trouble

// Lasting is how something goes that is tried again and again. The zero value is ready: no try has failed. It is not safe for concurrent use.
type Lasting struct {
	text  string // of the last error; "" while there is none
	tries int    // that have failed one after the other
}

// Is tells whether the last try failed.
func (l *Lasting) Is() bool { return l.text != "" }

// Note takes how a try went. It is news when an error comes, becomes another one, or is over; failed is how many tries in a row have failed,
// this one included.
func (l *Lasting) Note(err error) (news bool, failed int) {
	if err == nil {
		news, failed = l.Is(), l.tries
		*l = Lasting{}
		return news, failed
	}
	l.tries++
	news, l.text = l.text != err.Error(), err.Error()
	return news, l.tries
}
