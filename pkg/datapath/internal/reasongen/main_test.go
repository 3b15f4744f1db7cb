package main

import (
	"os"
	"testing"
)

// The committed list is that of the C header: forgetting go generate fails here, without clang.
func TestGeneratedListIsCurrent(t *testing.T) {
	header, err := os.ReadFile("../../../../bpf/reasons.h")
	if err != nil {
		t.Fatal(err)
	}
	want, err := generate(header)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../reasons_gen.go")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Error("reasons_gen.go is not what bpf/reasons.h makes: run go generate ./pkg/datapath")
	}
}

func TestAHeaderWithoutReasonsIsAnError(t *testing.T) {
	if _, err := generate([]byte("#define X")); err == nil {
		t.Error("no error")
	}
}
