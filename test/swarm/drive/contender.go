package drive

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Contender is a balancer under test, with its configuration.
type Contender struct {
	Name        string // of its swarm service
	Title       string
	Image       string
	Args        []string // before the configuration files
	Files       []string // configuration, from the root of the repository
	Privileged  bool     // gets what the kernel path needs
	Recommended bool     // the goals hold for it
	Kernel      bool     // its TCP connections go through the kernel path
}

var (
	recommendedFiles = []string{"deploy/recommended.cfg"}
	seedFiles        = []string{"deploy/haproxy.cfg", "test/swarm/drive/config/seed-extra.cfg"}
)

// Contenders are all that the soak compares.
func Contenders() []Contender {
	return []Contender{
		Waggle(),
		{
			Name: "waggle-userspace", Title: "waggle --datapath=off, recommended", Image: WaggleImage,
			Args: []string{"--datapath=off"}, Files: recommendedFiles, Recommended: true,
		},
		{
			Name: "waggle-seed", Title: "waggle, seed's file", Image: WaggleImage,
			Args: []string{"--datapath=tc"}, Files: seedFiles, Privileged: true, Kernel: true,
		},
		{Name: "haproxy", Title: "HAProxy, recommended", Image: haproxyImage, Args: []string{"-db"}, Files: recommendedFiles},
		{Name: "haproxy-seed", Title: "HAProxy, seed's file", Image: haproxyImage, Args: []string{"-db"}, Files: seedFiles},
	}
}

// Waggle is waggle as it is recommended, which must have its kernel path.
func Waggle() Contender {
	return Contender{
		Name: "waggle", Title: "waggle, recommended", Image: WaggleImage,
		Args: []string{"--datapath=tc"}, Files: recommendedFiles, Privileged: true, Recommended: true, Kernel: true,
	}
}

// Ports that a contender listens on, and how far apart the published ones of two contenders are.
const (
	httpTarget  = 8000
	lineTarget  = 8001
	statsTarget = 8404

	firstPublished = 20000
	publishedStep  = 10
)

// published is where a port of the i-th contender is found on the node.
func published(i, target int) uint16 {
	offset := map[int]int{httpTarget: 0, lineTarget: 1, statsTarget: 2}[target]
	return uint16(firstPublished + i*publishedStep + offset)
}

// deploy starts the i-th contender as a service.
func (s *Stage) deploy(ctx context.Context, i int, c Contender) error {
	args := []string{
		"service", "create", "--detach", "--name", c.Name, "--network", overlay, "--endpoint-mode", "dnsrr",
		"--no-resolve-image", "--restart-condition", "none",
	}
	for _, target := range []int{httpTarget, lineTarget, statsTarget} {
		args = append(args, "--publish", fmt.Sprintf("mode=host,target=%d,published=%d", target, published(i, target)))
	}
	if c.Privileged {
		for _, capability := range s.capabilities {
			args = append(args, "--cap-add", capability)
		}
	}
	command := slices.Clone(c.Args)
	for n, file := range c.Files {
		config := strings.NewReplacer("/", "-", ".", "-").Replace(file)
		if !s.configs[config] {
			if _, err := s.Engine.Docker(ctx, "config", "create", config, filepath.Join(s.root, file)); err != nil {
				return err
			}
			s.configs[config] = true
		}
		inside := fmt.Sprintf("/etc/balancer/%d.cfg", n)
		args = append(args, "--config", fmt.Sprintf("source=%s,target=%s,mode=0444", config, inside))
		command = append(command, "-f", inside)
	}
	args = append(append(args, c.Image), command...)
	_, err := s.Engine.Docker(ctx, args...)
	return err
}

// StatsPort is where the metrics of the i-th contender are published.
func (s *Stage) StatsPort(i int) uint16 { return published(i, statsTarget) }
