package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestIdentifier(t *testing.T) {
	for text, want := range map[string]string{
		"Apache License\n   Version 2.0, January 2004":                                                 "Apache-2.0",
		"Permission is hereby granted, free of charge, to any person\nobtaining a copy of this":        "MIT",
		"Redistribution and use in source and binary forms, with or without modification":              "BSD-2-Clause",
		"Redistribution and use in source and binary forms … to endorse\n or promote products derived": "BSD-3-Clause",
		"All rights reserved.": "",
	} {
		if got := identifier(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

func TestModuleNeedsALicence(t *testing.T) {
	m := module{Path: "example.com/m", Dir: t.TempDir()}
	if err := m.identify(); err == nil {
		t.Error("a module without one passes")
	}
	for name, text := range map[string]string{"LICENSE": "Apache License, Version 2.0", "NOTICE": "Copyright somebody"} {
		if err := os.WriteFile(filepath.Join(m.Dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.identify(); err != nil || m.licence != "Apache-2.0" {
		t.Errorf("%q, %v", m.licence, err)
	}
	if got := string(licences([]module{m})); !strings.Contains(got, "Copyright somebody") {
		t.Errorf("the notice is lost:\n%s", got)
	}
}

func TestDirectDependencyNeedsAReason(t *testing.T) {
	if _, err := document([]module{{Path: "example.com/m"}}, nil); err == nil {
		t.Error("one without passes")
	}
	if page, err := document([]module{{Path: "example.com/m", Indirect: true}}, nil); err != nil || !strings.Contains(string(page), "example.com/m") {
		t.Errorf("%v:\n%s", err, page)
	}
}
