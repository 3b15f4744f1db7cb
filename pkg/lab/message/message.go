// Package message keeps what tests have seen said, word for word, so that test/messages can tell which texts of the code
// no test has.
package message

import (
	"encoding/json"
	"os"
	"testing"
)

// Variable names the file that texts are added to, a JSON string a line. Without it nothing is kept.
const Variable = "WAGGLE_TEST_MESSAGES"

// Shown is called with a text that a test has demanded and got, whole.
func Shown(t testing.TB, text string) {
	t.Helper()
	name := os.Getenv(Variable)
	if name == "" {
		return
	}
	line, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write(append(line, '\n')) // one write: packages are tested side by side
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		t.Fatal(err)
	}
}
