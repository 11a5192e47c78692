//go:build linux && slow

package main

import (
	"encoding/json"
	"io"
	"regexp"
	"strings"
	"testing"
)

// All scenarios with a small load, which takes a minute.
func TestAllClusterScenarios(t *testing.T) {
	for _, s := range clusterScenarios {
		testClusterScenarios(t, "^"+s.name+"$", "go")
	}
	testClusterScenarios(t, "", "js")
}

// testClusterScenarios expects figures of a server from each scenario that matches.
func testClusterScenarios(t *testing.T, pattern, server string) {
	t.Helper()
	targets, err := selectTargets(server)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := runCluster(t.Context(), regexp.MustCompile(pattern), targets, smallClusterLoad(), 1, true, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	var got clusterReport
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, r := range got.Results {
		seen[r.Scenario] = true
		if _, ok := r.Median[server]; !ok || len(r.Rounds[server]) != 1 {
			t.Errorf("%s: got %+v", r.Title, r)
		}
		// So little may fit into memory that the server has, or be lost in what else it does.
		if r.Unit != memoryUnit && r.Unit != megabyteUnit && r.Scenario != "followed" && r.Median[server] <= 0 {
			t.Errorf("%s: got %v", r.Title, r.Median)
		}
	}
	for _, s := range clusterScenarios {
		if regexp.MustCompile(pattern).MatchString(s.name) && !seen[s.name] && (s.js || server == "go") {
			t.Errorf("%s has no figures", s.name)
		}
	}
}
