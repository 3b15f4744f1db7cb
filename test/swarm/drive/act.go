package drive

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// Behaviour is how tasks of the web service start and stop.
type Behaviour struct {
	Name      string        `json:"name"`
	DrainsFor time.Duration `json:"-"` // how long it serves on after SIGTERM; 0: it ends at once with all it holds
	ListensIn time.Duration `json:"-"` // how long after its start it listens
	Health    bool          `json:"-"` // Swarm asks its HEALTHCHECK
}

// Behaviours that the soak goes through.
var (
	// Careless tasks are in Docker's DNS a second before they listen, and end at SIGTERM.
	Careless = Behaviour{Name: "careless", ListensIn: time.Second}
	// Draining tasks listen at once, and serve on after SIGTERM.
	Draining = Behaviour{Name: "draining", DrainsFor: 2 * time.Second}
	// Healthy tasks drain too, and enter Docker's DNS only when their HEALTHCHECK has passed.
	Healthy = Behaviour{Name: "healthy", DrainsFor: 2 * time.Second, Health: true}
	// Brief tasks are those of the short form: they drain as long as it takes to see whether somebody still comes.
	Brief = Behaviour{Name: "brief", DrainsFor: 500 * time.Millisecond, ListensIn: 500 * time.Millisecond}
)

// flags for the docker client; env is --env or --env-add.
func (b Behaviour) flags(env string) []string {
	return []string{
		env, "TASK_DRAIN=" + b.DrainsFor.String(), env, "TASK_LISTEN_AFTER=" + b.ListensIn.String(),
		"--no-healthcheck=" + strconv.FormatBool(!b.Health),
	}
}

// Order is Swarm's order of a rolling update.
type Order string

// Orders of updates.
const (
	StopFirst  Order = "stop-first"
	StartFirst Order = "start-first"
)

// Act is something that is done to the web service.
type Act struct {
	Name      string // "update", "scale 3 to 10", …
	Order     Order  // of an update
	Behaviour Behaviour
	// Empty says that the service has no task for a while, so that requests must fail.
	Empty bool
	run   func(context.Context, *Stage) error
}

// Update replaces all tasks by others of the same behaviour, one by one.
func Update(order Order, b Behaviour) Act {
	return Act{Name: "update", Order: order, Behaviour: b, run: func(ctx context.Context, s *Stage) error {
		return s.update(ctx, order, b)
	}}
}

// Scale changes the number of tasks, which now is from.
func Scale(from, to int, b Behaviour) Act {
	return Act{
		Name: fmt.Sprintf("scale %d to %d", from, to), Behaviour: b, Empty: from == 0 || to == 0,
		run: func(ctx context.Context, s *Stage) error {
			if _, err := s.Engine.Docker(ctx, "service", "scale", "--detach", fmt.Sprintf("%s=%d", webName, to)); err != nil {
				return err
			}
			_, err := s.awaitRunning(ctx, webName, to)
			return err
		},
	}
}

const killed = "kill -9" // the act's name

// Kill ends a task by SIGKILL, as the kernel does when memory is short.
func Kill(b Behaviour) Act {
	return Act{Name: killed, Behaviour: b, run: func(ctx context.Context, s *Stage) error {
		return s.loseOne(ctx, func(container string) error { return s.Engine.Kill(container) })
	}}
}

// Sicken makes the HEALTHCHECK of a task fail, upon which Swarm replaces it.
func Sicken() Act {
	return Act{Name: "unhealthy", Behaviour: Healthy, run: func(ctx context.Context, s *Stage) error {
		return s.loseOne(ctx, func(container string) error {
			_, err := s.Engine.Docker(ctx, "exec", container, "/task", "sicken")
			return err
		})
	}}
}

// Calm does nothing for a while: what fails then is the fault of no update.
func Calm(b Behaviour, d time.Duration) Act {
	return Act{Name: "calm", Behaviour: b, run: func(ctx context.Context, _ *Stage) error { return pause(ctx, d) }}
}

func (s *Stage) update(ctx context.Context, order Order, next Behaviour) error {
	before, err := s.Engine.LastUpdate(ctx, webName)
	if err != nil {
		return err
	}
	s.generation++
	args := append([]string{"service", "update", "--detach", "--update-order", string(order)}, next.flags("--env-add")...)
	args = append(args, "--env-add", "TASK_GENERATION="+strconv.Itoa(s.generation), "--no-resolve-image", webName)
	if _, err := s.Engine.Docker(ctx, args...); err != nil {
		return err
	}
	err = await(ctx, "end of update", func() (bool, error) {
		now, err := s.Engine.LastUpdate(ctx, webName)
		if err == nil && now.State == "paused" {
			err = fmt.Errorf("update paused: %s", now.Message)
		}
		return now.State == "completed" && !now.StartedAt.Equal(before.StartedAt), err
	})
	if err != nil {
		return err
	}
	s.behaviour = next
	_, err = s.awaitRunning(ctx, webName, webReplicas)
	return err
}

// loseOne does something to the container of a task, and waits until Swarm has replaced it.
func (s *Stage) loseOne(ctx context.Context, lose func(container string) error) error {
	tasks, err := s.awaitRunning(ctx, webName, webReplicas)
	if err != nil {
		return err
	}
	victim := tasks[0].ContainerID
	if err := lose(victim); err != nil {
		return err
	}
	err = await(ctx, "end of the task", func() (bool, error) {
		tasks, err := s.Engine.Tasks(ctx, webName)
		for _, t := range tasks {
			if t.ContainerID == victim {
				return t.Over(), err
			}
		}
		return err == nil, err
	})
	if err != nil {
		return err
	}
	_, err = s.awaitRunning(ctx, webName, webReplicas)
	return err
}

// become makes all tasks behave in a way. What they do meanwhile is not counted.
func (s *Stage) become(ctx context.Context, b Behaviour) error {
	if s.behaviour == b {
		return nil
	}
	return s.update(ctx, StartFirst, b)
}
