package main

// agentMutants are about what the agent tells the kernel path, seen from outside or from the agent's own tests.
var agentMutants = []mutant{
	in("test/e2e", "a server that is drained stays in the schedule", "pkg/agent/targets.go",
		"if s.snapshot != snap {", "if s.snapshot == nil {", "TestAServerIsDrainedAtRunTimeOnBothPaths"),
	in("test/e2e", "sessions outlive their server despite on-marked-down shutdown-sessions", "pkg/agent/kernel.go",
		"\t\tk.shutdownDown()\n", "", "TestSessionsEndWithTheirServer"),
	in("pkg/agent", "source addresses of the other family are told", "pkg/agent/kernel.go",
		"return a.Is4() != v.Addr.Addr().Is4()", "return false", "TestSourcesInTheKernelsWords"),
	in("pkg/agent", "every retry is redispatched", "pkg/agent/kernel.go",
		"if !balance.Deterministic(b.Balance.Algorithm) {", "if true {", "TestWhichRetriesAreRedispatched"),
	in("pkg/offload", "a frontend with rules is the kernel's", "pkg/offload/offload.go",
		"j.rules()\n", "", "TestWhatKeepsAFrontendInUserspace"),
}
