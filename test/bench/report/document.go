package report

import (
	"fmt"
	"strings"
)

// Replace puts text between the lines <!-- begin NAME --> and <!-- end NAME --> of a document.
func Replace(document, name, text string) (string, error) {
	begin, end := "<!-- begin "+name+" -->\n", "<!-- end "+name+" -->"
	before, rest, ok := strings.Cut(document, begin)
	if !ok {
		return "", fmt.Errorf("document: no line %q", strings.TrimSpace(begin))
	}
	_, after, ok := strings.Cut(rest, end)
	if !ok {
		return "", fmt.Errorf("document: no line %q after its beginning", end)
	}
	return before + begin + strings.Trim(text, "\n") + "\n" + end + after, nil
}
