//go:build linux && slow

package main

import "testing"

// All scenarios with a small load, which takes a minute.
func TestAllClusterScenarios(t *testing.T) {
	for _, s := range clusterScenarios {
		testClusterScenarios(t, "^"+s.name+"$", "go")
	}
	testClusterScenarios(t, "", "js")
}
