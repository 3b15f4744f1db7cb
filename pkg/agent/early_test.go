package agent_test

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"
)

// Docker's stop signal may come while names are looked up or programs are loaded.
func TestSoftStopDuringTheStartIsNotLost(t *testing.T) {
	file, _ := writeRuntimeConfig(t)
	a := newWaggle(t, file, nil)
	arrived := make(chan os.Signal, 1)
	signal.Notify(arrived, syscall.SIGUSR1)
	defer signal.Stop(arrived)
	if err := syscall.Kill(os.Getpid(), syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	<-arrived
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := a.Run(ctx); err != nil {
		t.Error(err)
	}
	if ctx.Err() != nil {
		t.Error("it goes on although it was told to stop")
	}
}
