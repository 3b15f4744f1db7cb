package accesslog

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Of each Size lines that the level lets through a target writes those that are wanted.
func TestSample(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	l, err := New([]Target{{
		Address: fmt.Sprintf("fd@%d", file.Fd()), Format: "raw", Level: "notice", Sample: Sample{Ranges: [][2]int{{1, 1}, {3, 4}}, Size: 5},
	}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= 12; i++ {
		l.Process(Info, "beneath")
		l.Process(Notice, fmt.Sprint(i))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Fields(string(text)), []string{"1", "3", "4", "6", "8", "9", "11"}; !slices.Equal(got, want) {
		t.Errorf("wrote %v, want %v", got, want)
	}
}
