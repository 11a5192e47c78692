package main

import (
	_ "embed"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/compat/browsertest"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

var (
	//go:embed main.go
	program string
	//go:embed public/index.html
	page string
)

// The README shows this program and this page, and nothing else in these
// languages.
func TestSamplesAreThoseOfTheReadme(t *testing.T) {
	text, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, server, _ := strings.Cut(program, "\n") // without the comment about the package
	for language, want := range map[string]string{"go": server, "html": page} {
		_, rest, _ := strings.Cut(string(text), "\n```"+language+"\n")
		if got, more, _ := strings.Cut(rest, "```\n"); got != want {
			t.Errorf("README.md shows\n%s\nbut the sample is\n%s", got, want)
		} else if strings.Contains(more, "\n```"+language+"\n") {
			t.Errorf("README.md shows more than one sample in %s", language)
		}
	}
}

// The page does on the server what its comments say.
func TestSample(t *testing.T) {
	address := sctest.FreeAddr(t)
	server := exec.CommandContext(t.Context(), build(t, address))
	server.Env = append(os.Environ(), "AUTH_KEY=a key of the test with 32 letters")
	server.Stderr = os.Stderr
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Wait() })
	for deadline := time.Now().Add(browsertest.Timeout); ; time.Sleep(10 * time.Millisecond) {
		if r, err := http.Get("http://" + address); err == nil {
			r.Body.Close()
			break
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}

	tab := browsertest.Start(t).NewTab(t)
	tab.Navigate("http://" + address)
	tab.WaitText("body", "Hello, Alice says hi")
}

// build makes the program with another address to listen on, and returns its
// path.
func build(t *testing.T, address string) string {
	t.Helper()
	changed := strings.Replace(program, `":8000"`, `"`+address+`"`, 1)
	if changed == program {
		t.Fatal("the program listens elsewhere than on :8000")
	}
	dir := t.TempDir()
	original, err := filepath.Abs("main.go")
	if err != nil {
		t.Fatal(err)
	}
	replacement := filepath.Join(dir, "main.go")
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {original: replacement}})
	if err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string][]byte{replacement: []byte(changed), filepath.Join(dir, "overlay.json"): overlay} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	binary := filepath.Join(dir, "readme")
	if out, err := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}
