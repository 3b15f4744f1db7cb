package stats

import "slices"

const everything = Frontends | Listeners | Backends | Servers

// processNumber is what HAProxy called the number of a worker when there could be several.
const processNumber = 1

// Columns returns the table of statistics in the order of HAProxy 3.2's CSV format. Tools go by the
// position as well as by the name: columns are only ever added at the end.
func Columns() []Column {
	return slices.Concat(trafficColumns(), checkColumns(), settingColumns(), connectionColumns())
}
