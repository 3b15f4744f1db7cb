package main

// excuse says why an outcome cannot be brought about by tests.
type excuse struct {
	file, function, text, result string
	reason                       string
}

var excuses = []excuse{}

func excuseOf(o outcome) *excuse {
	for i, e := range excuses {
		if e.file == o.decision.File && (e.function == "" || e.function == o.decision.Function) && e.text == o.decision.Text && e.result == o.result {
			return &excuses[i]
		}
	}
	return nil
}
