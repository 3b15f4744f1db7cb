package config

import (
	"testing"
	"time"
)

func TestParseTime(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "5": 5 * time.Millisecond, "5us": time.Millisecond, "1001us": 2 * time.Millisecond, "7ms": 7 * time.Millisecond, "3s": 3 * time.Second,
		"2m": 2 * time.Minute, "1h": time.Hour, "24d": 24 * 24 * time.Hour, "2147483647": maxTime,
	} {
		if got, err := parseTime(text, "x", time.Millisecond); err != nil || got != want {
			t.Errorf("%s = %v %v, want %v", text, got, err, want)
		}
	}
	if got, err := parseTime("15", "x", time.Second); err != nil || got != 15*time.Second {
		t.Errorf("15 seconds by default = %v %v", got, err)
	}
	for _, text := range []string{"", "s", "-1", "1.5s", "1 s", "2147483648", "25d", "9999999999999999999999s", "1S", "1é"} {
		if got, err := parseTime(text, "x", time.Millisecond); err == nil {
			t.Errorf("%q = %v, want an error", text, got)
		}
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int{"0": 0, "16384": 16384, "16k": 16384, "2M": 2 << 20, "1g": 1 << 30} {
		if got, err := parseSize(text, "x"); err != nil || got != want {
			t.Errorf("%s = %d %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "k", "-1", "2g", "4194304k", "1kk", "1.5k", "99999999999"} {
		if got, err := parseSize(text, "x"); err == nil {
			t.Errorf("%q = %d, want an error", text, got)
		}
	}
}
