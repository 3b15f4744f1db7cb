package messages

// recorders are the tests that demand messages word for word, and record them.
const recorders = "^Test(Alerts|Remarks|RangesAreBounded|ConditionalBlocks|ParseDynamicServer|ReadingStopsAfterFiftyErrors|ZeroWarning|" +
	"SeedWithoutFinalLineFeed|LoadReportsEveryUnreadableFile|ConditionErrors|FormatErrors|RareErrors|Answers|Complaints|ComplaintsOfSockets|" +
	"ShowFlows|ShowEvents|Shutdown|Trace|ProcessCommands|AnswersAboutPatterns|ReferenceChanges|RulesAreBounded|LongPayload|LinesThatAreNoServersState|LongLine|ServeReportsABrokenListener|Mistakes|MistakesOfAnswers|SysdumpRefusesATerminal)$"

// audited are the packages whose texts people read, and where in them texts are not messages.
func audited() map[string]exceptions {
	data := []string{`strings\.\w+`, `regexp\.\w+`, `slices\.\w+`}
	return map[string]exceptions{
		"pkg/config": {
			calls:  append(data, "group", "add", "path", "option", "didYouMean", "quoteList"), // rows of tables, lists of words
			tables: []string{"[]directive", "directive", "[]serverParam", "[]bindParam", "[]tlsParam", "[]ruleAction", "[]section", "section", "map[string]string", "[]string", "[]KeywordGroup", "Ring"},
			funcs: []string{
				`\w+(Directives|Globals|Params|Actions)`, "Keywords", "actionKeywords", // tables
				"String", "redirectCookie", "smtpCheck", // what goes to a peer
			},
			vars: []string{"others", "own", "feature", "doc", "actions", "priorities", "condition", "otherTCPActions", "otherActions", "noPrograms", "checkOptionNames", "StatsRealm"},
		},
		"pkg/sample": {
			calls: append(data, `.*\.(Append)?Format`),
			funcs: []string{"String"},                                   // words of log lines
			vars:  []string{"knownConverters", "knownFetches", "verbs"}, // lists of names, layouts of times
		},
		"pkg/userlist": {calls: data, funcs: []string{"Challenge"}}, // a header
		"pkg/certs":    {calls: append(data, `bytes\.\w+`)},
		"pkg/cli": {
			calls:  append(data, `agent\.Ask`, "ask"), // commands of the Runtime API
			vars:   []string{"emptySlot", "socket"},
			tables: []string{"[]oneFlag", "[]command", "Entry", "[]shownColumn", "[]string"},
			funcs: []string{
				`complete\w+`, "usage", "help", "helpFlags", "commands", "haproxyFlags", "ownFlags", "rareFlags", "dumpCommands", "statsCommand",
				`explain\w+`, "origin", "printVersion", // what was asked for, in testdata/script
				"lines", "frame", // a screen
			},
		},
		"pkg/runtimeapi": {
			calls: data, tables: []string{"[]command"},
			funcs: []string{`\w+Commands`, "showActivity", "showPools", "words", "details", "text", "explainInterfaces"}, // listings
		},
	}
}

// excused are texts that those tests do not show, and why.
func excused() map[string]string {
	const listing = "a line of a listing, whose tests look at its columns"
	return map[string]string{
		"unable to load the system's CAs: %w": "x509.SystemCertPool fails on no Linux",
		"capabilities are not dropped":        "the kernel lets every process drop capabilities",
		"capabilities are not dropped: this program was built with cgo; build it with CGO_ENABLED=0": "tests are one kind of program at a time",
		"it cannot be read":                         "a file that cannot be used has an alert, which takes its place",
		"not answered: %v\n":                        "a file in a bundle; testdata/script/sysdump.txtar",
		"write %s: %w":                              "the second of two: the buffers of gzip hide which write fails",
		"Configuration file is valid":               "no mistake; testdata/script/check.txtar",
		"Cannot print JSON: ":                       "the reports hold nothing that JSON cannot",
		"Cannot list descriptors: ":                 "without /proc nothing runs",
		"read configuration: %w":                    "TestMistakes shows one of the two; the other is of a directory that cannot be listed",
		"# table: %s, type: %s, size:%d, used:%d\n": listing,
		"0x%08x: key=%s use=%d exp=%d":              listing,
		"%s path=userspace state=%s age=%s exp=%s rq=%d in=%d out=%d\n": listing,
		"%s path=kernel state=%s age=%s idle=%s in=%d out=%d\n":         listing,
		"# and %d more\n": listing,
	}
}
