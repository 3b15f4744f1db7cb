package accesslog

// Level is a syslog severity; smaller is more severe.
type Level uint8

// The levels, by the names that the configuration uses.
const (
	Emerg Level = iota
	Alert
	Crit
	Err
	Warning
	Notice
	Info
	Debug
)

// ParseLevel finds a level by HAProxy's name for it.
func ParseLevel(name string) (l Level, ok bool) {
	switch name {
	case "emerg":
		return Emerg, true
	case "alert":
		return Alert, true
	case "crit":
		return Crit, true
	case "err":
		return Err, true
	case "warning":
		return Warning, true
	case "notice":
		return Notice, true
	case "info":
		return Info, true
	case "debug":
		return Debug, true
	}
	return 0, false
}

// parseFacility finds a facility by the names of HAProxy's manual (3.1, "log").
func parseFacility(name string) (f int, ok bool) {
	for i, n := range [...]string{
		"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news",
		"uucp", "cron", "auth2", "ftp", "ntp", "audit", "alert", "cron2",
		"local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
	} {
		if n == name {
			return i, true
		}
	}
	return 0, false
}
