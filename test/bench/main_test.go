package main

import (
	"testing"

	"go.uber.org/goleak"

	"waggle/test/program"
)

func TestMain(m *testing.M) {
	program.Main()
	goleak.VerifyTestMain(m)
}
