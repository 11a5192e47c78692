package browsertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// Timeout bounds each single step. It is far above what a step needs, so that
// only something that hangs meets it.
const Timeout = 20 * time.Second

// pollInterval is how often a condition is looked at again.
const pollInterval = 25 * time.Millisecond

const installHint = "no Chromium found: install one (Debian: apt-get install chromium) or name its binary in CHROMIUM"

// flags switch off what a test does not need, above all what would let the
// browser talk to other hosts, and keep timers running in tabs that are not in
// front. Containers often run as root with a small /dev/shm, hence no sandbox
// and no shared memory there.
var flags = []chromedp.ExecAllocatorOption{
	chromedp.Headless,
	chromedp.NoSandbox,
	chromedp.NoFirstRun,
	chromedp.DisableGPU,
	chromedp.Flag("disable-quic", true),
	chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"),
	chromedp.Flag("disable-background-networking", true),
	chromedp.Flag("disable-component-update", true),
	chromedp.Flag("disable-sync", true),
	chromedp.Flag("disable-dev-shm-usage", true),
	chromedp.Flag("disable-background-timer-throttling", true),
	chromedp.Flag("disable-backgrounding-occluded-windows", true),
	chromedp.Flag("disable-renderer-backgrounding", true),
}

// Browser is a running Chromium with a profile of its own.
type Browser struct {
	ctx context.Context
}

// Start launches a browser that ends with the test. It ends the test when no
// Chromium is installed.
func Start(t testing.TB) *Browser {
	t.Helper()
	path, err := find()
	if err != nil {
		t.Fatal(err)
	}
	profile := filepath.Join(t.TempDir(), "profile")
	opts := append([]chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path),
		chromedp.UserDataDir(profile),
	}, flags...)
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, _ := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Logf("close the browser: %v", err)
		}
		stopAllocator()
		removeProfile(t, profile)
	})
	if err := chromedp.Do(ctx); err != nil { // starts the process
		t.Fatalf("start %s: %v", path, err)
	}
	return &Browser{ctx: ctx}
}

// removeProfile insists, because helper processes of the browser may write
// into the profile for a moment after the browser itself has gone.
func removeProfile(t testing.TB, dir string) {
	for deadline := time.Now().Add(Timeout); ; time.Sleep(50 * time.Millisecond) {
		err := os.RemoveAll(dir)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("remove the browser profile: %v", err)
			return
		}
	}
}

func find() (string, error) {
	if path := os.Getenv("CHROMIUM"); path != "" {
		if _, err := exec.LookPath(path); err != nil {
			return "", fmt.Errorf("CHROMIUM: %w", err)
		}
		return path, nil
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New(installHint)
}
