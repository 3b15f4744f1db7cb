package sample

import (
	"errors"
	"os"
	"strings"
	"testing"

	"waggle/pkg/lab/message"
)

// TestRareErrors has the messages that TestConditionErrors has not; test/messages demands that each is somewhere.
func TestRareErrors(t *testing.T) {
	env := testEnv(t)
	read := env.ReadFile
	env.ReadFile = func(name string) ([]byte, error) {
		if name == "keys.lst" {
			return []byte("10.0.0.300 1\n"), nil
		}
		return read(name)
	}
	blind := env
	blind.ReadFile = nil
	condition := func(words string, env Env) func() error {
		return func() error { _, err := ParseCond(strings.Split(words, " "), env); return err }
	}
	format := func(text string, where Where) func() error {
		return func() error { _, err := ParseFormat(text, MessageFormat, true, Env{Where: where}); return err }
	}
	for _, tt := range []struct {
		parse func() error
		want  string
	}{
		{condition("if ! ", env), "an ACL name is missing"},
		{condition("if { src -f x.lst }", blind), "pattern file 'x.lst' cannot be read here"},
		{condition("if { path,map(x.map) a }", blind), "map file 'x.map' cannot be read here"},
		{condition("if { path,map_ip(keys.lst) a }", env), "'10.0.0.300' is not a valid IPv4 or IPv6 address or network, line 1 of map file 'keys.lst'"},
		{condition("if { path,map_str_int(nets.lst,x) 3 }", env), "the default value 'x' of converter 'map_str_int' has another type"},
		{condition("if { rand(x) 3 }", env), "'x' is not a number, which fetch method 'rand' expects as argument 1"},
		{condition("if { path,field(1,) a }", env), "converter 'field' expects delimiters as argument 2"},
		{condition("if { req.payload(-1,2) -m str a }", env), "'-1' is no offset or length in fetch method 'req.payload'"},
		{condition("if { req.payload_lv(0,5) -m str a }", env), "fetch method 'req.payload_lv' expects an offset and a size from 1 to 4"},
		{condition("if { req.payload_lv(0,2,-3) -m str a }", env), "the value of fetch method 'req.payload_lv' would begin before the buffer"},
		{condition("if { src,ipmask(24,200) 10.0.0.0 }", env), "'200' is not an IPv6 prefix length, which converter 'ipmask' expects"},
		{condition("if { path,bytes(-1) a }", env), "converter 'bytes' expects an offset of 0 or more, not '-1'"},
		{condition("if { date,ltime(a%) a }", env), "the format of converter 'ltime' ends in '%'"},
		{condition("if { date,ltime(%H,x) a }", env), "'x' is not a number of seconds, which converter 'ltime' expects as argument 2"},
		{condition("if { url_param(a,&,x) a }", env), "the only flag of fetch method 'url_param' is 'i', not 'x'"},
		{condition("if { path,word(1 a }", env), "missing closing ')' in the arguments of converter 'word'"},
		{condition("if { ssl_fc,ipmask(8) 10.0.0.0 }", env), "converter 'ipmask' cannot be applied here: the value has another type"},
		{condition("if { var(,5) -m str a }", env), "fetch method 'var' expects the name of a variable"},
		{condition("if { var(nope.x) -m str a }", env), "invalid variable name 'nope.x': it begins with its scope, 'sess.', 'txn.', 'req.' or 'res.'"},
		{condition("if { uuid(7) -m str a }", env), "UUID version '7' is valid HAProxy but not supported by waggle yet"},
		{condition("if { dst_port gt 9223372036854775807 }", env), "nothing is greater than 9223372036854775807"},
		{condition("if { dst_port lt -9223372036854775808 }", env), "nothing is less than -9223372036854775808"},
		{condition("if { sc_conn_cnt(3) gt 1 }", env), "fetch method 'sc_conn_cnt' expects the number of a counter, 0, 1 or 2"},
		{func() error { _, err := ParseExpr("path_beg", env); return err }, "'path_beg' is the name of an ACL, not of a fetch method"},
		{func() error { _, err := ParseExpr(",lower", env); return err }, "missing fetch method"},
		{format("%[req.len]", AtResponse), "sample fetch 'req.len' may not be reliably used here because it needs 'the content of the request' which is not available here"},
		{format("%[srv_name]", AtRequest), "sample fetch 'srv_name' may not be reliably used here because it needs 'server' which is not available here"},
		{format("%[be_name]", AtConnection), "sample fetch 'be_name' may not be reliably used here because it needs 'backend' which is not available here"},
	} {
		err := tt.parse()
		var e *Error
		if !errors.As(err, &e) || e.Text != tt.want {
			t.Errorf("%v\nwant %s", err, tt.want)
		}
		message.Shown(t, tt.want)
	}
	if _, err := env.ReadFile("gone"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
