package stats

import (
	"testing"
	"time"
)

func TestGrouped(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1\u202f000", -1234567: "-1\u202f234\u202f567", 100000: "100\u202f000"} {
		if got := grouped(n); got != want {
			t.Errorf("grouped(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestBytesText(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 1023: "1023", 1024: "1.00\u202fKi", 10 << 10: "10.0\u202fKi", 100 << 10: "100\u202fKi",
		1023 << 10: "1.00\u202fMi", 1<<20 - 1: "1.00\u202fMi", 5 << 30: "5.00\u202fGi", 1<<63 - 1: "8.00\u202fEi"} {
		if got := bytesText(n); got != want {
			t.Errorf("bytesText(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestAgoText(t *testing.T) {
	for d, want := range map[time.Duration]string{-time.Second: "0s", 0: "0s", 59 * time.Second: "59s", 60 * time.Second: "1m00s",
		3599 * time.Second: "59m59s", time.Hour: "1h00m", 25 * time.Hour: "1d01h", 400 * 24 * time.Hour: "400d00h"} {
		if got := agoText(d); got != want {
			t.Errorf("agoText(%v) = %q, want %q", d, got, want)
		}
	}
	if got := longUptime(26*time.Hour + 3*time.Minute + 4*time.Second); got != "1d 2h03m04s" {
		t.Errorf("uptime %q", got)
	}
}
