package agent_test

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"waggle/pkg/agent"
	"waggle/pkg/config"
)

// Docker's stop signal may come while names are looked up or programs are loaded.
func TestSoftStopDuringTheStartIsNotLost(t *testing.T) {
	file, _ := writeRuntimeConfig(t)
	cfg, _, err := config.Load([]string{file}, config.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	a, err := agent.New(t.Context(), agent.Options{Config: cfg, Datapath: agent.DatapathOff, Loops: 1, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	arrived := make(chan os.Signal, 1)
	signal.Notify(arrived, syscall.SIGUSR1)
	defer signal.Stop(arrived)
	if err := syscall.Kill(os.Getpid(), syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	<-arrived
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := a.Run(ctx); err != nil {
		t.Error(err)
	}
	if ctx.Err() != nil {
		t.Error("it goes on although it was told to stop")
	}
}
