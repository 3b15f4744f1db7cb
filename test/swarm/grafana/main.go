// Grafana stands in for Grafana in the swarm tests, where it cannot be had: it reads what deploy/stack-monitoring.yml gives to
// Grafana, at the places and in the forms that Grafana's manual names ("Provision Grafana"), and answers on port 3000:
//
//	/api/v1/…         what the provisioned data source answers there
//	/dashboards/NAME  a provisioned dashboard
//
// It ends at once if something is not where it should be.
package main

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
)

const (
	provisioning = "/etc/grafana/provisioning"
	passwordFile = "GF_SECURITY_ADMIN_PASSWORD__FILE" // names a file for the setting of the same name
)

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	if password, err := os.ReadFile(os.Getenv(passwordFile)); err != nil || len(password) == 0 {
		return fmt.Errorf("the administrator has no password: %w", err)
	}
	address, err := setting(filepath.Join(provisioning, "datasources"), `\n +url: (\S+)\n`)
	if err != nil {
		return err
	}
	source, err := url.Parse(address)
	if err != nil {
		return err
	}
	dashboards, err := setting(filepath.Join(provisioning, "dashboards"), `\n +options: \{path: (\S+)\}\n`)
	if err != nil {
		return err
	}
	if _, err := os.ReadDir(dashboards); err != nil {
		return err
	}
	http.Handle("/api/v1/", httputil.NewSingleHostReverseProxy(source))
	http.Handle("/dashboards/", http.StripPrefix("/dashboards", http.FileServer(http.Dir(dashboards))))
	return http.ListenAndServe(":3000", nil) //nolint:gosec // one client, a test
}

// setting finds in the files of a directory what the pattern's parentheses match, which must be there once.
func setting(dir, pattern string) (string, error) {
	names, err := filepath.Glob(dir + "/*.yml")
	if err != nil {
		return "", err
	}
	var found []string
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(content), -1) {
			found = append(found, m[1])
		}
	}
	if len(found) != 1 {
		return "", fmt.Errorf("%s has %d times what matches %s: %q", dir, len(found), pattern, found)
	}
	return found[0], nil
}
