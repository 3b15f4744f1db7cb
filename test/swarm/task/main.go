// Task is the service that the swarm tests balance over. It answers HTTP requests on port 8000 and lines of TCP on
// port 8001 with the name of its container, and keeps a record of what still reached it after Swarm's SIGTERM.
//
// As the first process of its container, from an image that holds nothing else, it also stands in for the commands
// that others find in their images:
//
//	task             serve
//	task health      end with 0 if the service is healthy: the image's HEALTHCHECK
//	task sicken      let health fail from now on
//
// Its environment says how it behaves:
//
//	TASK_DRAIN=2s          how long after SIGTERM it serves on, asking clients to close; by default it ends at once
//	TASK_LISTEN_AFTER=1s   how long it takes until it listens (default 0), as programs do that load something first
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const (
	httpAddr = ":8000"
	lineAddr = ":8001"
	sickFile = "/sick"
)

func main() {
	var err error
	switch word(os.Args) {
	case "":
		err = run()
	case "health":
		err = health()
	case "sicken":
		err = os.WriteFile(sickFile, nil, 0o644)
	default:
		err = fmt.Errorf("unknown word %q", os.Args[1])
	}
	if err != nil {
		log.Fatal(err)
	}
}

func word(args []string) string {
	if len(args) < 2 {
		return ""
	}
	return args[1]
}

// run serves until SIGTERM, and behaves then as the environment says.
func run() error {
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	// The first process of a container gets no default action for a signal.
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, syscall.SIGTERM)
	delay, err := duration("TASK_LISTEN_AFTER")
	if err != nil {
		return err
	}
	drain, err := duration("TASK_DRAIN")
	if err != nil {
		return err
	}
	select {
	case <-time.After(delay):
	case <-terminate:
		return nil
	}
	s := newService(host)
	if err := s.listen(); err != nil {
		return err
	}
	select {
	case <-terminate:
	case err := <-s.failed:
		return err
	}
	s.record.terminated()
	if drain > 0 {
		s.drain(drain)
	}
	return s.record.write(reportDir)
}

// duration reads one from the environment.
func duration(name string) (time.Duration, error) {
	text := os.Getenv(name)
	if text == "" {
		return 0, nil
	}
	return time.ParseDuration(text)
}

func health() error {
	if _, err := os.Stat(sickFile); err == nil {
		return fmt.Errorf("%s exists", sickFile)
	}
	client := http.Client{Timeout: time.Second}
	resp, err := client.Get("http://127.0.0.1" + httpAddr + "/")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("answer %s", resp.Status)
	}
	return nil
}
